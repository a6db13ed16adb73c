/* Runs a command and says what it took: the time from its start to its end, and the most memory that it had. The last
   line of the output is ours, everything before it the command's.

       cc -O2 -o measure measure.c
       measure COMMAND [ARGUMENT]...

   This is a program of its own because wait4 is the only way to learn the peak memory of one child, and because a child
   begins with the peak of whoever starts it: this one is small. */

#define _DEFAULT_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s COMMAND [ARGUMENT]...\n", argv[0]);
        return 2;
    }
    double start = now();
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        perror(argv[1]);
        return 1;
    }
    double seconds = now() - start;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s: it failed\n", argv[1]);
        return 1;
    }
#ifdef __APPLE__
    long bytes = usage.ru_maxrss;
#else
    long bytes = usage.ru_maxrss * 1024;
#endif
    printf("\n{\"seconds\":%.6f,\"peak_bytes\":%ld}\n", seconds, bytes);
    return 0;
}
