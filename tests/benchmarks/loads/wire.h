/* What all loads share: the clock, the message, sockets, and the protocol with the parent process. */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { LARGEST_READ = 256 * 1024, PATIENCE_MS = 10000 };

/* One message after the other, as many as may be sent in one piece and one more, so that a piece may begin anywhere. */
struct stream {
    char *bytes;
    size_t message;
    size_t copies;
};

extern int server_port;

uint64_t nanoseconds(void);
_Noreturn void fail(const char *format, ...);
struct stream stream_of(size_t message, size_t copies);
void check(const struct stream *stream, size_t at, const char *data, size_t count);
int connected_client(void);
int connecting_client(unsigned long number);
void watch(int epoll, int fd, uint32_t index);
struct epoll_event;
int await(int epoll, struct epoll_event *events, int most);
double idle_seconds(void);
void tell(const char *format, ...);
char *decoded(const char *hex, size_t *bytes);
double drawn(double rate);

/* Each mode runs for that long and returns how much it did: messages, or connections. */
struct work {
    unsigned long count;
    double seconds;
};
struct work exchange(double seconds);
void exchange_prepare(unsigned clients, size_t message, unsigned window);
struct work visit(double seconds);
void visit_prepare(unsigned at_once, size_t message);
struct work open_loop(double seconds);
void open_loop_prepare(unsigned clients, size_t message, double rate);
void open_loop_forget(void);
double open_loop_quantile(double share);
double open_loop_lateness(double share);

#endif
