/* The limit of the copied path: two threads and a ring, in as little C as it takes.
 *
 * Reads up to 256 KiB a call straight into a 64 MiB ring, writes the same way, asks for
 * 1 MiB pipes on both sides, and rings the other thread's bell only when it sleeps.
 * It has no options, no counters and no shedding: weir's copied path is measured beside it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define RING (64u << 20)
#define PIECE (256u << 10)

static char *ring;
static size_t head, tail; /* bytes read so far, bytes written so far: tail <= head <= tail + RING */
static int ended;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct bell {
    pthread_cond_t cond;
    int asleep;
};
static struct bell room = {PTHREAD_COND_INITIALIZER, 0};
static struct bell data = {PTHREAD_COND_INITIALIZER, 0};

static void nap(struct bell *bell)
{
    bell->asleep = 1;
    pthread_cond_wait(&bell->cond, &lock);
    bell->asleep = 0;
}

static void wake(struct bell *bell)
{
    if (bell->asleep)
        pthread_cond_signal(&bell->cond);
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static void *source(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (head - tail == RING)
            nap(&room);
        size_t at = head % RING, n = least(RING - (head - tail), RING - at, PIECE);
        pthread_mutex_unlock(&lock);

        ssize_t got;
        do
            got = read(0, ring + at, n);
        while (got < 0 && errno == EINTR);

        pthread_mutex_lock(&lock);
        if (got > 0)
            head += got;
        else
            ended = 1;
        wake(&data);
        pthread_mutex_unlock(&lock);
        if (got < 0)
            _exit(1);
        if (got == 0)
            return NULL;
    }
}

static void sink(void)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (head == tail && !ended)
            nap(&data);
        size_t at = tail % RING, n = least(head - tail, RING - at, PIECE);
        pthread_mutex_unlock(&lock);
        if (n == 0)
            return;

        ssize_t put;
        do
            put = write(1, ring + at, n);
        while (put < 0 && errno == EINTR);
        if (put < 0)
            _exit(1);

        pthread_mutex_lock(&lock);
        tail += put;
        wake(&room);
        pthread_mutex_unlock(&lock);
    }
}

int main(void)
{
    pthread_t reader;
    ring = malloc(RING);
    if (!ring)
        return 1;
    fcntl(0, F_SETPIPE_SZ, 1 << 20);
    fcntl(1, F_SETPIPE_SZ, 1 << 20);
    if (pthread_create(&reader, NULL, source, NULL))
        return 1;
    sink();
    return 0;
}
