/* Load for an echo server, one process that asks epoll again and again and never sleeps.

   load exchange    PORT WARM_UP SECONDS CLIENTS BYTES WINDOW   messages in flight on each client: 1 is a closed loop
   load connections PORT WARM_UP SECONDS AT_ONCE BYTES          connect, echo, end, close
   load open        PORT WARM_UP SECONDS CLIENTS BYTES RATE     messages a second, whatever the server does

   Prints `begin` and `end COUNT SECONDS BUSY_SECONDS` around the measured time, and after each waits for a line on
   standard input: so the caller reads the server's CPU time at a standstill. BUSY_SECONDS is the time in which the load
   had something to do; an open loop's is all of it.
   An open loop adds to the last line the latencies p50, p99 and p99.9, and at last how late it was itself (p99), all in
   microseconds. Bytes that come back are counted and compared, of large messages every eighth read; what is wrong ends
   the load with `failed: WHY`. */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words) {
    if (count < 7) fail("words are missing; the first lines of load.c say which there are");
    const char *mode = words[1];
    double warm_up = atof(words[3]), seconds = atof(words[4]);
    unsigned clients = (unsigned)atoi(words[5]);
    size_t message = (size_t)atol(words[6]);
    double last = count > 7 ? atof(words[7]) : 1;
    struct work (*run)(double);
    server_port = atoi(words[2]);
    if (!strcmp(mode, "exchange")) exchange_prepare(clients, message, (unsigned)last), run = exchange;
    else if (!strcmp(mode, "connections")) visit_prepare(clients, message), run = visit;
    else if (!strcmp(mode, "open")) open_loop_prepare(clients, message, last), run = open_loop;
    else fail("there is no load %s", mode);
    run(warm_up);
    open_loop_forget();
    tell("begin");
    double idle = idle_seconds();
    struct work work = run(seconds);
    double busy = work.seconds - (idle_seconds() - idle);
    if (run == open_loop)
        tell("end %lu %f %f %f %f %f %f", work.count, work.seconds, busy, open_loop_quantile(0.5),
             open_loop_quantile(0.99), open_loop_quantile(0.999), open_loop_lateness(0.99));
    else tell("end %lu %f %f", work.count, work.seconds, busy);
    return 0;
}
