/* Functions that all loads share. */
#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int server_port;

uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void fail(const char *format, ...) {
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    printf("failed: ");
    vprintf(format, arguments);
    va_end(arguments);
    printf(error ? " (%s)\n" : "\n", strerror(error));
    exit(1);
}

/* One line, one message with its length before it, and so many bytes: whole in every framing. Between, bytes that do
   not repeat soon, so that a piece that comes twice or at the wrong place is seen. */
struct stream stream_of(size_t message, size_t copies) {
    struct stream made = {malloc(message * (copies + 1)), message, copies};
    uint32_t length = htonl((uint32_t)message - 4), state = 2463534242u;
    if (!made.bytes) fail("no memory for the messages");
    memcpy(made.bytes, &length, 4);
    for (size_t at = 4; at < message - 1; at++) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        made.bytes[at] = (char)(state == '\n' || (state & 0xff) == '\n' ? 'x' : (int)(state & 0xff));
    }
    made.bytes[message - 1] = '\n';
    for (size_t copy = 1; copy <= copies; copy++) memcpy(made.bytes + copy * message, made.bytes, message);
    return made;
}

/* Compare what came back with what was sent, where `at` is its place in a message. */
void check(const struct stream *stream, size_t at, const char *data, size_t count) {
    size_t most = stream->message * stream->copies;
    while (count) {
        size_t piece = count < most ? count : most;
        errno = 0;
        if (memcmp(stream->bytes + at, data, piece)) fail("the server sent other bytes than it got");
        at = (at + piece) % stream->message;
        data += piece;
        count -= piece;
    }
}

static int client_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) fail("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* A client that is connected already. */
int connected_client(void) {
    int fd = connecting_client(0), error = 0;
    socklen_t length = sizeof error;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLOUT};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll");
    if (epoll_wait(epoll, &event, 1, PATIENCE_MS) != 1) fail("no connection within %d ms", PATIENCE_MS);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    if (error) fail("connect");
    close(epoll);
    return fd;
}

/* A client that connects. Its address follows from the number: one address has ports for 28,000 connections a minute,
   which is how long the kernel remembers each. The port is chosen when it connects, free for this server only. */
int connecting_client(unsigned long number) {
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server_port)};
    int fd = client_socket(), on = 1;
    source.sin_addr.s_addr = htonl(0x7f010000u + (uint32_t)(number / 250 % 250 << 8) + (uint32_t)(number % 250 + 1));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&source, sizeof source)) fail("bind");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) fail("connect");
    return fd;
}

/* By edges: a short read or write has emptied or filled the socket, so that no call is needed to see that. The server's
   end may come with its last bytes, without an edge of its own: it is asked for by name. */
void watch(int epoll, int fd, uint32_t index) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static uint64_t idle_nanoseconds;

/* Wait without sleeping: a server's send that has to wake a sleeper costs the server a microsecond, which is the cost of
   a load on the same machine, and the slower server pays it more often. */
int await(int epoll, struct epoll_event *events, int most) {
    uint64_t began = nanoseconds(), now = began;
    int ready;
    while (!(ready = epoll_wait(epoll, events, most, 0))) {
        now = nanoseconds();
        errno = 0;
        if (now - began > PATIENCE_MS * 1000000ul) fail("no answer for %d ms", PATIENCE_MS);
    }
    if (ready < 0) fail("epoll_wait");
    idle_nanoseconds += now - began;
    return ready;
}

/* Total time of the waits that found nothing. */
double idle_seconds(void) { return (double)idle_nanoseconds / 1e9; }

/* Print a line and wait for one from the caller. */
void tell(const char *format, ...) {
    int letter;
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    while ((letter = getchar()) != '\n')
        if (letter == EOF) exit(0);
}

/* The bytes that a word has in hexadecimal digits. */
char *decoded(const char *hex, size_t *bytes) {
    size_t count = strlen(hex) / 2;
    char *made = malloc(count + 1);
    if (!made) fail("no memory for %zu bytes", count);
    for (size_t at = 0; at < count; at++) {
        char pair[3] = {hex[2 * at], hex[2 * at + 1], 0};
        made[at] = (char)strtol(pair, NULL, 16);
    }
    *bytes = count;
    return made;
}

/* Nanoseconds until the next of events that come at a rate, independently of each other (Poisson). */
double drawn(double rate) { return -log(1 - drand48()) * 1e9 / rate; }
