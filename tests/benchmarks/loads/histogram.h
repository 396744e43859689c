/* Log-linear: each power of two of nanoseconds in so many steps, so a value is known to 3 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_POWERS = 40 };

struct histogram {
    unsigned long counts[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
    unsigned long total;
};

void histogram_count(struct histogram *histogram, uint64_t nanoseconds);
double histogram_quantile(const struct histogram *histogram, double share);

#endif
