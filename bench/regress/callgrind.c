/* Lets the measured program say from where to where instructions are counted. */
#include <valgrind/callgrind.h>

void start(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

void done(const char *what)
{
    CALLGRIND_DUMP_STATS_AT(what);
}
