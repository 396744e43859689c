/* The yardstick: one thread, one epoll, recv and send; what the kernel does not take waits, and so does its client.
   Prints its port, serves until killed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, BYTES = 262144 };

/* What a client still has to get, by descriptor; NULL while there is nothing. */
struct rest {
    size_t at, count;
    char bytes[];
};

static struct rest **rests;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void make_room(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files)) fail("getrlimit");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files)) fail("setrlimit");
    rests = calloc(files.rlim_max, sizeof *rests);
    if (!rests) fail("calloc");
}

static int listener_on_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 1024)) fail("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length)) fail("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int operation, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event)) fail("epoll_ctl");
}

static void accept_all(int epoll, int listener) {
    int client, on = 1;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN);
    }
}

static void end(int client) {
    free(rests[client]);
    rests[client] = NULL;
    close(client);
}

static void keep(int epoll, int client, const char *data, size_t count) {
    struct rest *rest = malloc(sizeof *rest + count);
    if (!rest) fail("malloc");
    rest->at = 0;
    rest->count = count;
    memcpy(rest->bytes, data, count);
    rests[client] = rest;
    watch(epoll, EPOLL_CTL_MOD, client, EPOLLOUT);
}

static void echo(int epoll, int client) {
    static char data[BYTES];
    ssize_t count = recv(client, data, sizeof data, 0), sent;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return end(client);
    sent = send(client, data, (size_t)count, MSG_NOSIGNAL);
    if (sent == count) return;
    if (sent < 0 && errno != EAGAIN) return end(client);
    if (sent < 0) sent = 0;
    keep(epoll, client, data + sent, (size_t)(count - sent));
}

static void send_rest(int epoll, int client) {
    struct rest *rest = rests[client];
    ssize_t sent = send(client, rest->bytes + rest->at, rest->count - rest->at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return end(client);
    rest->at += (size_t)sent;
    if (rest->at < rest->count) return;
    free(rest);
    rests[client] = NULL;
    watch(epoll, EPOLL_CTL_MOD, client, EPOLLIN);
}

int main(void) {
    struct epoll_event events[EVENTS];
    make_room();
    int listener = listener_on_free_port();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1");
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(epoll, fd);
            else if (rests[fd]) send_rest(epoll, fd);
            else echo(epoll, fd);
        }
    }
}
