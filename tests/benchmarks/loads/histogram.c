#include "histogram.h"

#include <math.h>
#include <stddef.h>

enum { STEPS = HISTOGRAM_STEPS, POWERS = HISTOGRAM_POWERS };

void histogram_count(struct histogram *histogram, uint64_t value) {
    unsigned power = value < STEPS ? 0 : 63 - (unsigned)__builtin_clzll(value) - 5;
    size_t at = power * STEPS + (value >> power);
    histogram->counts[at < POWERS * STEPS ? at : POWERS * STEPS - 1]++;
    histogram->total++;
}

/* In microseconds. */
double histogram_quantile(const struct histogram *histogram, double share) {
    unsigned long before = 0, wanted = (unsigned long)(share * (double)histogram->total);
    for (size_t at = 0; at < POWERS * STEPS; at++) {
        before += histogram->counts[at];
        if (before > wanted) return ldexp((double)(at % STEPS) + 0.5, (int)(at / STEPS)) / 1e3;
    }
    return 0;
}
