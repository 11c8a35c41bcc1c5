// What the load generator says of what it measured: latencies, and what the processes of a server took.
#ifndef FIGURES_H
#define FIGURES_H
#include <stdint.h>

// One latency more, in nanoseconds.
void hadd(uint64_t v);

// Prints the latencies, in microseconds, as a member of a JSON object.
void lat(void);

// A process to account, with all its descendants.
void usage_of(int pid);

struct usage {
  double cpu, user, sys;
  uint64_t rss;
  int n;
  uint64_t csw;
};
struct usage usage_now(void);

// Prints what lies between two of these, with a comma behind it; `units` are what it is divided by.
void cpus(struct usage a, struct usage b, double sec, uint64_t units);

// The CPU time of this process.
double self_cpu(void);

// Of the whole machine.
uint64_t tcp_mem_bytes(void);
uint64_t slab_bytes(void);
#endif
