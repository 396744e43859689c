/* Messages from publishers to members of a group, over connections that the caller has made: it has joined the members,
   whatever protocol that takes. What a publisher sends is always the same, and so is the size of what each member gets.

     bus_load closed|open WARM_UP SECONDS PUBLISHERS DELIVERY_BYTES HEX WINDOW|RATE FD...

   closed   WINDOW messages are under way at any time: one is over when every member has it
   open     the first publisher sends RATE messages a second to the only member, at times drawn beforehand (Poisson)

   The first PUBLISHERS descriptors are those of publishers, the others those of members. Prints `begin`, then
   `end DELIVERIES SECONDS BUSY_SECONDS`, with `open` also the latencies p50, p99 and p99.9 and how late the load was
   itself (p99) in microseconds, and waits for a line after both. */
#define _GNU_SOURCE
#include "../histogram.h"
#include "../wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, MOST_UNDER_WAY = 65536 };

struct member {
    int fd;
    size_t got;
    unsigned long complete;
};

static struct member *members;
static unsigned member_count, publisher_count;
static int *publishers;
static char *message;
static size_t message_bytes, delivery_bytes;
static int epoll;
static unsigned long sent, over;
/* How many members have the message of a number, and when it should have been sent. */
static unsigned had[MOST_UNDER_WAY];
static uint64_t intended[MOST_UNDER_WAY];
static struct histogram latencies, lateness;

static void publish(uint64_t when) {
    if (sent - over == MOST_UNDER_WAY) fail("the server does not keep up with the rate");
    had[sent % MOST_UNDER_WAY] = 0;
    intended[sent % MOST_UNDER_WAY] = when;
    ssize_t done = send(publishers[sent % publisher_count], message, message_bytes, MSG_NOSIGNAL);
    if (done != (ssize_t)message_bytes) fail("the server does not keep up with the publishers");
    sent++;
}

/* Return how many messages of a member are complete by what is there to read. */
static unsigned long take(struct member *member) {
    static char data[LARGEST_READ];
    unsigned long complete = 0;
    for (;;) {
        ssize_t got = recv(member->fd, data, sizeof data, 0);
        if (got < 0 && errno == EAGAIN) return complete;
        if (got < 0) fail("recv");
        errno = 0;
        if (!got) fail("the server closed a connection");
        member->got += (size_t)got;
        for (; (member->complete + 1) * delivery_bytes <= member->got; member->complete++, complete++) {
            if (member->complete == sent) fail("the server delivered more than was published");
            if (++had[member->complete % MOST_UNDER_WAY] == member_count) over++;
            if (member_count == 1)
                histogram_count(&latencies, nanoseconds() - intended[member->complete % MOST_UNDER_WAY]);
        }
        if ((size_t)got < sizeof data) return complete;
    }
}

static unsigned long collect(int ready, const struct epoll_event *events) {
    unsigned long done = 0;
    for (int i = 0; i < ready; i++) {
        if (events[i].events & EPOLLRDHUP) fail("the server closed a connection");
        if (events[i].events & ~(unsigned)EPOLLOUT) done += take(&members[events[i].data.u32]);
    }
    return done;
}

static struct work closed(double seconds, double window) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9);
    unsigned long done = 0;
    do {
        while (sent - over < (unsigned long)window && nanoseconds() < deadline) publish(nanoseconds());
        if (sent != over) done += collect(await(epoll, events, EVENTS), events);
        errno = 0;
    } while (sent != over || nanoseconds() < deadline);
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}

static struct work at_a_rate(double seconds, double rate) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9), now = began;
    double next = (double)began + drawn(rate);
    unsigned long done = 0;
    while (next < (double)deadline || over < sent) {
        for (; next <= (double)now && next < (double)deadline; next += drawn(rate)) {
            histogram_count(&lateness, now - (uint64_t)next);
            publish((uint64_t)next);
        }
        int ready = epoll_wait(epoll, events, EVENTS, 0);
        errno = 0;
        done += ready > 0 ? collect(ready, events) : 0;
        now = nanoseconds();
        if (now > deadline + PATIENCE_MS * 1000000ul) fail("no delivery for %d ms", PATIENCE_MS);
    }
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}

int main(int count, char **words) {
    if (count < 9) fail("words are missing; the first lines of bus_load.c say which there are");
    int is_open = !strcmp(words[1], "open");
    double warm_up = atof(words[2]), seconds = atof(words[3]), last = atof(words[7]);
    publisher_count = (unsigned)atoi(words[4]);
    delivery_bytes = (size_t)atol(words[5]);
    message = decoded(words[6], &message_bytes);
    member_count = (unsigned)count - 8 - publisher_count;
    publishers = calloc(publisher_count, sizeof *publishers);
    members = calloc(member_count, sizeof *members);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!publishers || !members || epoll < 0) fail("no room for %u members", member_count);
    if (is_open && member_count != 1) fail("an open loop has one member");
    for (unsigned i = 0; i < publisher_count; i++) publishers[i] = atoi(words[8 + i]);
    for (unsigned i = 0; i < member_count; i++) {
        members[i].fd = atoi(words[8 + publisher_count + i]);
        watch(epoll, members[i].fd, i);
    }
    struct work (*run)(double, double) = is_open ? at_a_rate : closed;
    run(warm_up, last);
    memset(&latencies, 0, sizeof latencies);
    memset(&lateness, 0, sizeof lateness);
    tell("begin");
    double idle = idle_seconds();
    struct work work = run(seconds, last);
    double busy = work.seconds - (idle_seconds() - idle);
    tell("end %lu %f %f %f %f %f %f", work.count, work.seconds, busy, histogram_quantile(&latencies, 0.5),
         histogram_quantile(&latencies, 0.99), histogram_quantile(&latencies, 0.999),
         histogram_quantile(&lateness, 0.99));
    return 0;
}
