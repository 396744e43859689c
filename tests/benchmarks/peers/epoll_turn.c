/* One turn of an epoll loop that echoes, for a process that has the sockets: the yardstick of turns.py. */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 512, BYTES = 262144 };

int turn(int epoll) {
    static char data[BYTES];
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
        ssize_t count = recv(events[i].data.fd, data, sizeof data, 0);
        if (count <= 0 || send(events[i].data.fd, data, (size_t)count, MSG_NOSIGNAL) != count) return -1;
    }
    return ready;
}
