/* Echoed messages: a fixed number in flight per client, the next one sent when one is complete. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, LARGE_MESSAGE = 16384, READS_FOR_ONE_COMPARED = 8 };

/* Offsets in a message of the next byte to send and to receive, and how many bytes are left of both. */
struct client {
    int fd;
    size_t out_at, in_at;
    size_t to_send, to_get;
};

static struct client *clients;
static unsigned number;
static struct stream stream;
static int epoll;

void exchange_prepare(unsigned count, size_t message, unsigned window) {
    number = count;
    clients = calloc(count, sizeof *clients);
    stream = stream_of(message, window);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || epoll < 0) fail("no room for %u clients", count);
    for (unsigned i = 0; i < count; i++) {
        clients[i].fd = connected_client();
        watch(epoll, clients[i].fd, i);
    }
}

static void put(struct client *client) {
    while (client->to_send) {
        size_t most = stream.message * stream.copies;
        size_t piece = client->to_send < most ? client->to_send : most;
        ssize_t sent = send(client->fd, stream.bytes + client->out_at, piece, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) fail("send");
        client->to_send -= (size_t)sent;
        client->out_at = (client->out_at + (size_t)sent) % stream.message;
        if ((size_t)sent < piece) return;
    }
}

/* Return how many messages are complete by what is there to read. Of large messages not every read is compared: the
   kernel counts and drops the others (MSG_TRUNC), or the load would be what sets the pace. */
static unsigned long take(struct client *client) {
    static char data[LARGEST_READ];
    static unsigned reads;
    unsigned long complete = 0;
    for (;;) {
        int drop = stream.message >= LARGE_MESSAGE && ++reads % READS_FOR_ONE_COMPARED ? MSG_TRUNC : 0;
        ssize_t got = recv(client->fd, data, sizeof data, drop);
        if (got < 0 && errno == EAGAIN) return complete;
        if (got < 0) fail("recv");
        errno = 0;
        if (!got) fail("the server closed a connection");
        if ((size_t)got > client->to_get) fail("the server sent more than it got");
        if (!drop) check(&stream, client->in_at, data, (size_t)got);
        client->to_get -= (size_t)got;
        complete += (client->in_at + (size_t)got) / stream.message;
        client->in_at = (client->in_at + (size_t)got) % stream.message;
        if ((size_t)got < sizeof data) return complete;
    }
}

static void begin(struct client *client, unsigned long messages) {
    client->to_send += messages * stream.message;
    client->to_get += messages * stream.message;
    put(client);
}

/* No message is in flight before and after. */
struct work exchange(double seconds) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9);
    unsigned long done = 0, flying = (unsigned long)number * stream.copies;
    for (unsigned i = 0; i < number; i++) begin(&clients[i], stream.copies);
    while (flying) {
        int ready = await(epoll, events, EVENTS);
        errno = 0;
        int ending = nanoseconds() >= deadline;
        for (int i = 0; i < ready; i++) {
            struct client *client = &clients[events[i].data.u32];
            unsigned long complete = events[i].events & ~(unsigned)EPOLLOUT ? take(client) : 0;
            done += complete;
            if (events[i].events & EPOLLRDHUP) fail("the server closed a connection");
            if (ending) flying -= complete;
            else if (complete) begin(client, complete);
            if (client->to_send && events[i].events & EPOLLOUT) put(client);
        }
    }
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}
