/* Connections: each connects, sends a message, reads the echo, sends a FIN, waits for the server's, and closes. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };
enum step { CONNECTING, WAITING, ENDING };

struct visitor {
    int fd;
    enum step step;
    size_t got;
};

static struct visitor *visitors;
static unsigned number;
static unsigned long opened;
static struct stream stream;
static int epoll;

void visit_prepare(unsigned at_once, size_t message) {
    number = at_once;
    visitors = calloc(at_once, sizeof *visitors);
    stream = stream_of(message, 1);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!visitors || epoll < 0) fail("no room for %u clients", at_once);
    /* Start with other ports than the load before: the kernel may still have those in TIME_WAIT. */
    opened = nanoseconds() / 1000 % 62500;
}

static void set_out(unsigned index) {
    visitors[index] = (struct visitor){connecting_client(opened++), CONNECTING, 0};
    watch(epoll, visitors[index].fd, index);
}

/* Return whether the connection is complete. */
static int go_on(struct visitor *visitor) {
    char data[4096];
    if (visitor->step == CONNECTING) {
        if (send(visitor->fd, stream.bytes, stream.message, MSG_NOSIGNAL) != (ssize_t)stream.message) fail("send");
        visitor->step = WAITING;
        return 0;
    }
    for (;;) {
        ssize_t got = recv(visitor->fd, data, sizeof data, 0);
        if (got < 0 && errno == EAGAIN) return 0;
        if (got < 0) fail("recv");
        errno = 0;
        if (!got) break;
        if (visitor->got + (size_t)got > stream.message) fail("the server sent more than it got");
        check(&stream, visitor->got, data, (size_t)got);
        visitor->got += (size_t)got;
        if (visitor->step == WAITING && visitor->got == stream.message) {
            if (shutdown(visitor->fd, SHUT_WR)) fail("shutdown");
            visitor->step = ENDING;
        }
        if ((size_t)got < sizeof data) return 0;
    }
    if (visitor->step != ENDING) fail("the server closed a connection");
    close(visitor->fd);
    return 1;
}

/* No connection is open before and after. */
struct work visit(double seconds) {
    struct epoll_event events[EVENTS];
    uint64_t began = nanoseconds(), deadline = began + (uint64_t)(seconds * 1e9);
    unsigned long done = 0;
    unsigned away = number;
    for (unsigned i = 0; i < number; i++) set_out(i);
    while (away) {
        int ready = await(epoll, events, EVENTS);
        errno = 0;
        int ending = nanoseconds() >= deadline;
        for (int i = 0; i < ready; i++) {
            unsigned index = events[i].data.u32;
            if (!go_on(&visitors[index])) continue;
            done++;
            if (ending) away--;
            else set_out(index);
        }
    }
    return (struct work){done, (double)(nanoseconds() - began) / 1e9};
}
