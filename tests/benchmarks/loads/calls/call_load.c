/* Calls over connections that the caller has made, one at a time on each: a call is always the same bytes, and so is the
   size of its answer. HTTP requests on persistent connections are calls, and so are messages that are echoed.

     call_load closed|open WARM_UP SECONDS ANSWER_BYTES HEX RATE FD...

   closed   a connection makes its next call when it has the answer
   open     RATE calls a second, at times drawn beforehand (Poisson), on whichever connection is free; a call that finds
            none waits, and its latency counts from its time

   Prints `begin`, then `end CALLS SECONDS BUSY_SECONDS`, with `open` also the latencies p50, p99 and p99.9 and how late
   the load was itself (p99) in microseconds, and waits for a line after both. */
#define _GNU_SOURCE
#include "../histogram.h"
#include "../wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, MOST_WAITING = 65536 };

struct caller {
    int fd;
    size_t got;
    uint64_t intended;
};

static struct caller *callers;
static unsigned caller_count;
static char *call;
static size_t call_bytes, answer_bytes;
static int epoll;
static struct histogram latencies, lateness;
/* Connections without a call under way, and the times of calls that wait for one. */
static unsigned *idle, idle_count;
static uint64_t waiting[MOST_WAITING];
static unsigned long first_waiting, last_waiting;

static void begin(struct caller *caller, uint64_t intended) {
    caller->got = 0;
    caller->intended = intended;
    if (send(caller->fd, call, call_bytes, MSG_NOSIGNAL) != (ssize_t)call_bytes) fail("send");
}

/* Return whether the answer is complete. */
static int take(struct caller *caller) {
    static char data[LARGEST_READ];
    for (;;) {
        ssize_t got = recv(caller->fd, data, sizeof data, 0);
        if (got < 0 && errno == EAGAIN) return 0;
        if (got < 0) fail("recv");
        errno = 0;
        if (!got) fail("the server closed a connection");
        caller->got += (size_t)got;
        if (caller->got > answer_bytes) fail("an answer has other than %zu bytes", answer_bytes);
        if (caller->got == answer_bytes) return 1;
        if ((size_t)got < sizeof data) return 0;
    }
}

static struct caller *answered(const struct epoll_event *event) {
    struct caller *caller = &callers[event->data.u32];
    if (event->events & EPOLLRDHUP) fail("the server closed a connection");
    return event->events & ~(unsigned)EPOLLOUT && caller->intended && take(caller) ? caller : NULL;
}

static struct work closed(double seconds, double rate) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9);
    unsigned long done = 0;
    unsigned under_way = caller_count;
    (void)rate;
    for (unsigned i = 0; i < caller_count; i++) begin(&callers[i], began);
    while (under_way) {
        int ready = await(epoll, events, EVENTS);
        errno = 0;
        int ending = nanoseconds() >= deadline;
        for (int i = 0; i < ready; i++) {
            struct caller *caller = answered(&events[i]);
            if (!caller) continue;
            done++;
            caller->intended = 0;
            if (ending) under_way--;
            else begin(caller, 1);
        }
    }
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}

static struct work at_a_rate(double seconds, double rate) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9), now = began;
    double next = (double)began + drawn(rate);
    unsigned long done = 0;
    idle_count = 0;
    first_waiting = last_waiting = 0;
    for (unsigned i = 0; i < caller_count; i++) idle[idle_count++] = i;
    while (next < (double)deadline || first_waiting < last_waiting || idle_count < caller_count) {
        for (; next <= (double)now && next < (double)deadline; next += drawn(rate)) {
            if (last_waiting - first_waiting == MOST_WAITING) fail("the server does not keep up with the rate");
            waiting[last_waiting++ % MOST_WAITING] = (uint64_t)next;
            histogram_count(&lateness, now - (uint64_t)next);
        }
        while (first_waiting < last_waiting && idle_count)
            begin(&callers[idle[--idle_count]], waiting[first_waiting++ % MOST_WAITING]);
        int ready = epoll_wait(epoll, events, EVENTS, 0);
        errno = 0;
        for (int i = 0; i < ready; i++) {
            struct caller *caller = answered(&events[i]);
            if (!caller) continue;
            histogram_count(&latencies, nanoseconds() - caller->intended);
            caller->intended = 0;
            idle[idle_count++] = events[i].data.u32;
            done++;
        }
        now = nanoseconds();
        if (now > deadline + PATIENCE_MS * 1000000ul) fail("no answer for %d ms", PATIENCE_MS);
    }
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}

int main(int count, char **words) {
    if (count < 8) fail("words are missing; the first lines of call_load.c say which there are");
    struct work (*run)(double, double) = strcmp(words[1], "open") ? closed : at_a_rate;
    double warm_up = atof(words[2]), seconds = atof(words[3]), rate = atof(words[6]);
    answer_bytes = (size_t)atol(words[4]);
    call = decoded(words[5], &call_bytes);
    caller_count = (unsigned)count - 7;
    callers = calloc(caller_count, sizeof *callers);
    idle = calloc(caller_count, sizeof *idle);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!callers || !idle || epoll < 0) fail("no room for %u connections", caller_count);
    for (unsigned i = 0; i < caller_count; i++) {
        callers[i].fd = atoi(words[7 + i]);
        watch(epoll, callers[i].fd, i);
    }
    run(warm_up, rate);
    memset(&latencies, 0, sizeof latencies);
    memset(&lateness, 0, sizeof lateness);
    tell("begin");
    double waited = idle_seconds();
    struct work work = run(seconds, rate);
    double busy = work.seconds - (idle_seconds() - waited);
    tell("end %lu %f %f %f %f %f %f", work.count, work.seconds, busy, histogram_quantile(&latencies, 0.5),
         histogram_quantile(&latencies, 0.99), histogram_quantile(&latencies, 0.999),
         histogram_quantile(&lateness, 0.99));
    return 0;
}
