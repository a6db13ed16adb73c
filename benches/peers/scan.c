/* The physical limit that quantviz is measured against: what a file of 32-bit floats costs at least, when nothing is
   known of it but where its floats begin. One pass: each block is read with pread, and while it is in the cache its
   minimum, maximum, sum and sum of squares are taken and its values are counted in 64 bins between two edges that are
   given. quantviz does more: it finds the tensors, counts what is not finite, finds the edges of each tensor by itself
   and makes numpy's counts to the last one.

       cc -O3 -march=native -pthread -o scan scan.c
       scan FILE OFFSET THREADS LOW HIGH

   Values outside of the edges, and NaN, are counted in the bins at the ends. Sums are taken in double precision. The
   time that is printed begins before the threads do and ends when their results are one. */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BINS = 64, LANES = 16, MOST_THREADS = 256 };

/* A block and its indices stay in the second-level cache. */
#define BLOCK_BYTES (256u << 10)

/* What the compiler turns into vector registers, however wide they are. */
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float half_of_floats __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef double doubles __attribute__((vector_size(LANES / 2 * sizeof(double))));

/* Of each pair of lanes the first where the mask is set; C has no ?: for vectors. */
static inline floats either(ints mask, floats one, floats other) {
    return (floats)((mask & (ints)one) | (~mask & (ints)other));
}

struct work {
    int file;
    uint64_t start, end;
    float low, scale;
    atomic_uint_fast64_t *next;
};

struct result {
    float min, max;
    double sum, squares;
    uint64_t counts[BINS];
    int failed;
};

struct thread {
    const struct work *work;
    struct result result;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void scan_block(const float *values, size_t count, const struct work *work, struct result *result,
                       uint32_t tables[LANES][BINS]) {
    floats min, max;
    doubles sums[2] = {{0}}, squares[2] = {{0}};
    for (int lane = 0; lane < LANES; lane++) {
        min[lane] = result->min;
        max[lane] = result->max;
    }
    const floats low = work->low - (floats){0}, scale = work->scale - (floats){0};
    const floats first = {0}, last = (BINS - 1) - (floats){0};
    size_t index = 0;
    for (; index + LANES <= count; index += LANES) {
        floats row;
        memcpy(&row, values + index, sizeof row);
        min = either(row < min, row, min);
        max = either(row > max, row, max);
        half_of_floats halves[2];
        memcpy(halves, &row, sizeof row);
        for (int half = 0; half < 2; half++) {
            doubles wide = __builtin_convertvector(halves[half], doubles);
            sums[half] += wide;
            squares[half] += wide * wide;
        }
        floats place = (row - low) * scale;
        place = either(place > first, place, first);
        place = either(place < last, place, last);
        ints bins = __builtin_convertvector(place, ints);
        int32_t bin[LANES];
        memcpy(bin, &bins, sizeof bin);
        /* A table for each lane, so that a count need not wait for the one before it. */
        for (int lane = 0; lane < LANES; lane++)
            tables[lane][bin[lane]]++;
    }
    for (int lane = 0; lane < LANES; lane++) {
        result->min = min[lane] < result->min ? min[lane] : result->min;
        result->max = max[lane] > result->max ? max[lane] : result->max;
    }
    for (int half = 0; half < 2; half++)
        for (int lane = 0; lane < LANES / 2; lane++) {
            result->sum += sums[half][lane];
            result->squares += squares[half][lane];
        }
    for (; index < count; index++) {
        float value = values[index];
        result->min = value < result->min ? value : result->min;
        result->max = value > result->max ? value : result->max;
        result->sum += value;
        result->squares += (double)value * value;
        float place = (value - work->low) * work->scale;
        place = place > 0 ? place : 0;
        tables[0][place < BINS - 1 ? (int)place : BINS - 1]++;
    }
}

static void *run(void *argument) {
    struct thread *thread = argument;
    const struct work *work = thread->work;
    /* Counted here and not in the thread's result, which lies beside another's. */
    struct result result = {.min = 1.0f / 0.0f, .max = -1.0f / 0.0f};
    uint32_t tables[LANES][BINS] = {{0}};
    float *block = aligned_alloc(64, BLOCK_BYTES);
    while (block && !result.failed) {
        uint64_t at = work->start + atomic_fetch_add(work->next, 1) * BLOCK_BYTES;
        if (at >= work->end)
            break;
        size_t bytes = work->end - at < BLOCK_BYTES ? work->end - at : BLOCK_BYTES;
        for (size_t done = 0; done < bytes && !result.failed;) {
            ssize_t got = pread(work->file, (char *)block + done, bytes - done, (off_t)(at + done));
            result.failed = got <= 0;
            done += got > 0 ? (size_t)got : 0;
        }
        if (!result.failed)
            scan_block(block, bytes / sizeof(float), work, &result, tables);
    }
    result.failed |= !block;
    free(block);
    for (int lane = 0; lane < LANES; lane++)
        for (int bin = 0; bin < BINS; bin++)
            result.counts[bin] += tables[lane][bin];
    thread->result = result;
    return NULL;
}

static void merge(struct result *into, const struct result *from) {
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->sum += from->sum;
    into->squares += from->squares;
    into->failed |= from->failed;
    for (int bin = 0; bin < BINS; bin++)
        into->counts[bin] += from->counts[bin];
}

/* JSON has no word for what is not finite: the sums of bytes that are no floats may not be. */
static void print_number(const char *name, double number) {
    if (number - number == 0)
        printf(",\"%s\":%.17g", name, number);
    else
        printf(",\"%s\":null", name);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: %s FILE OFFSET THREADS LOW HIGH\n", argv[0]);
        return 2;
    }
    int file = open(argv[1], O_RDONLY);
    struct stat about;
    if (file < 0 || fstat(file, &about) != 0) {
        perror(argv[1]);
        return 1;
    }
    double start = now();
    atomic_uint_fast64_t next = 0;
    float low = strtof(argv[4], NULL), high = strtof(argv[5], NULL);
    struct work work = {.file = file,
                        .start = strtoull(argv[2], NULL, 10),
                        .end = (uint64_t)about.st_size,
                        .low = low,
                        .scale = BINS / (high - low),
                        .next = &next};
    int threads = atoi(argv[3]);
    if (threads < 1 || threads > MOST_THREADS || !(low < high)) {
        fprintf(stderr, "%s: wrong number of threads, or edges in the wrong order\n", argv[0]);
        return 2;
    }
    static struct thread all[MOST_THREADS];
    static pthread_t helpers[MOST_THREADS];
    for (int index = 0; index < threads; index++)
        all[index].work = &work;
    for (int index = 1; index < threads; index++)
        if (pthread_create(&helpers[index], NULL, run, &all[index]) != 0) {
            perror("pthread_create");
            return 1;
        }
    run(&all[0]);
    struct result result = all[0].result;
    for (int index = 1; index < threads; index++) {
        pthread_join(helpers[index], NULL);
        merge(&result, &all[index].result);
    }
    double seconds = now() - start;
    if (result.failed) {
        fprintf(stderr, "%s: reading it failed\n", argv[1]);
        return 1;
    }
    printf("{\"seconds\":%.6f", seconds);
    print_number("min", result.min);
    print_number("max", result.max);
    print_number("sum", result.sum);
    print_number("squares", result.squares);
    printf(",\"counts\":[");
    for (int bin = 0; bin < BINS; bin++)
        printf("%s%llu", bin ? "," : "", (unsigned long long)result.counts[bin]);
    printf("]}\n");
    return 0;
}
