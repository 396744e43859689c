/* Messages at a rate that does not depend on the server, at times drawn beforehand (Poisson). Latency counts from the
   scheduled time, not from the send: a message that is late because others were in the way counts as late, which a
   closed loop omits (coordinated omission). The clock is polled without sleeping. */
#define _GNU_SOURCE
#include "histogram.h"
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, MOST_IN_FLIGHT = 4096 };

struct client {
    int fd;
    size_t got;
    unsigned long sent, complete;
    uint64_t intended[MOST_IN_FLIGHT];
};

static struct client *clients;
static unsigned number;
static double events_per_second;
static struct stream stream;
static int epoll;
static struct histogram latencies, lateness;

void open_loop_prepare(unsigned count, size_t message, double rate) {
    number = count;
    events_per_second = rate;
    clients = calloc(count, sizeof *clients);
    stream = stream_of(message, 1);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || epoll < 0) fail("no room for %u clients", count);
    for (unsigned i = 0; i < count; i++) {
        clients[i].fd = connected_client();
        watch(epoll, clients[i].fd, i);
    }
}

void open_loop_forget(void) {
    memset(&latencies, 0, sizeof latencies);
    memset(&lateness, 0, sizeof lateness);
}

double open_loop_quantile(double share) { return histogram_quantile(&latencies, share); }
double open_loop_lateness(double share) { return histogram_quantile(&lateness, share); }

static void put(struct client *client, uint64_t intended, uint64_t now) {
    if (client->sent - client->complete == MOST_IN_FLIGHT) fail("the server does not keep up with the rate");
    client->intended[client->sent++ % MOST_IN_FLIGHT] = intended;
    if (send(client->fd, stream.bytes, stream.message, MSG_NOSIGNAL) != (ssize_t)stream.message)
        fail("the server does not keep up with the rate");
    histogram_count(&lateness, now - intended);
}

static unsigned long take(struct client *client) {
    static char data[LARGEST_READ];
    unsigned long complete = 0;
    for (;;) {
        ssize_t got = recv(client->fd, data, sizeof data, 0);
        if (got < 0 && errno == EAGAIN) return complete;
        if (got < 0) fail("recv");
        errno = 0;
        if (!got) fail("the server closed a connection");
        check(&stream, client->got % stream.message, data, (size_t)got);
        client->got += (size_t)got;
        uint64_t now = nanoseconds();
        for (; (client->complete + 1) * stream.message <= client->got; complete++) {
            if (client->complete == client->sent) fail("the server sent more than it got");
            histogram_count(&latencies, now - client->intended[client->complete++ % MOST_IN_FLIGHT]);
        }
        if ((size_t)got < sizeof data) return complete;
    }
}

struct work open_loop(double seconds) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9), now = began;
    double next = (double)began + drawn(events_per_second);
    unsigned long sent = 0, done = 0;
    while (next < (double)deadline || done < sent) {
        for (; next <= (double)now && next < (double)deadline; next += drawn(events_per_second))
            put(&clients[sent++ % number], (uint64_t)next, now);
        int ready = epoll_wait(epoll, events, EVENTS, 0);
        errno = 0;
        for (int i = 0; i < ready; i++) {
            if (events[i].events & ~(unsigned)EPOLLOUT) done += take(&clients[events[i].data.u32]);
            if (events[i].events & EPOLLRDHUP) fail("the server closed a connection");
        }
        now = nanoseconds();
        errno = 0;
        if (now > deadline + PATIENCE_MS * 1000000ul) fail("no answer for %d ms", PATIENCE_MS);
    }
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}
