/* A provider that answers at once: epoll, keep-alive, prepared bytes.
 *
 *   mock DIRECTORY EVENTS PACE_US PORTS
 *
 * DIRECTORY holds `answer` (a whole reply), `head` (the head of a stream and its first event), `event` and `last`
 * (its end), as they go over the wire. A request whose body holds "stream":true gets a stream of EVENTS events,
 * PACE_US apart; every other POST gets `answer`. Listens on PORTS free ports and prints them on one line.
 * What does not fit into a socket's buffer cuts that connection, so that a reader that is too slow shows.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_REQUEST = 1 << 16, MOST_EVENTS = 256 };

struct bytes {
    char *at;
    size_t size;
};

struct connection {
    int fd;
    int listens;
    int streaming; /* in the queue, even if closed meanwhile */
    int left;      /* events still to be sent */
    int64_t due;
    struct connection *next; /* in the queue */
    size_t size;
    char buffer[LARGEST_REQUEST];
};

static struct bytes answer, head, event, last;
static int events;
static int64_t pace;
/* All streams have the same pace: whoever was served last is due last, so the queue is in order by itself. */
static struct connection *first_due, *last_due;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct bytes file(const char *directory, const char *name)
{
    char path[4096];
    struct bytes found = {malloc(1 << 16), 0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "rb");
    if (!f || !found.at)
        fail(path);
    found.size = fread(found.at, 1, 1 << 16, f);
    fclose(f);
    return found;
}

/* A connection whose stream is queued is freed when its turn comes. */
static void end(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (!c->streaming)
        free(c);
}

static int put(struct connection *c, struct bytes b)
{
    if (send(c->fd, b.at, b.size, MSG_NOSIGNAL) == (ssize_t)b.size)
        return 1;
    end(c);
    return 0;
}

static void enqueue(struct connection *c, int64_t due)
{
    c->due = due;
    c->next = NULL;
    c->streaming = 1;
    if (last_due)
        last_due->next = c;
    else
        first_due = c;
    last_due = c;
}

static void send_due(int64_t now)
{
    while (first_due && first_due->due <= now) {
        struct connection *c = first_due;
        first_due = c->next;
        if (!first_due)
            last_due = NULL;
        c->streaming = 0;
        if (c->fd < 0) {
            free(c);
        } else if (c->left > 0) {
            c->left--;
            if (put(c, event))
                enqueue(c, c->due + pace);
        } else {
            put(c, last);
        }
    }
}

static long body_length(const char *head_end, const char *from)
{
    for (const char *line = from; line && line < head_end; line = memchr(line, '\n', head_end - line)) {
        line += *line == '\n';
        if (!strncasecmp(line, "content-length:", 15))
            return atol(line + 15);
    }
    return 0;
}

static int answer_one(struct connection *c, const char *body, long length)
{
    if (!memmem(body, length, "\"stream\":true", 13) && !memmem(body, length, "\"stream\": true", 14))
        return put(c, answer);
    if (c->streaming) { /* one answer at a time */
        end(c);
        return 0;
    }
    if (!put(c, head))
        return 0;
    c->left = events - 1;
    enqueue(c, now_us() + pace);
    return 1;
}

/* Answer every whole request in the buffer; return 0 once the connection is gone. */
static int answer_all(struct connection *c)
{
    for (;;) {
        char *head_end = memmem(c->buffer, c->size, "\r\n\r\n", 4);
        if (!head_end)
            return 1;
        long length = body_length(head_end, c->buffer);
        size_t whole = head_end + 4 - c->buffer + length;
        if (c->size < whole)
            return 1;
        if (!answer_one(c, head_end + 4, length))
            return 0;
        memmove(c->buffer, c->buffer + whole, c->size - whole);
        c->size -= whole;
    }
}

static void read_from(struct connection *c)
{
    ssize_t got = recv(c->fd, c->buffer + c->size, sizeof c->buffer - c->size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        end(c);
        return;
    }
    c->size += got;
    if (answer_all(c) && c->size == sizeof c->buffer)
        end(c);
}

static struct connection *watch(int poll, int fd, int listens)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        fail("calloc");
    c->fd = fd;
    c->listens = listens;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) < 0)
        fail("epoll_ctl");
    return c;
}

static void listen_on(int poll)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (void *)&a, size) < 0 || listen(fd, 4096) < 0)
        fail("listen");
    getsockname(fd, (void *)&a, &size);
    printf("%d ", ntohs(a.sin_port));
    watch(poll, fd, 1);
}

static void accept_from(int poll, struct connection *listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(poll, fd, 0);
    }
}

/* Return until when to wait: 1 ms is as fine as epoll's clock is. */
static int patience(void)
{
    if (!first_due)
        return -1;
    int64_t wait = first_due->due - now_us();
    return wait <= 0 ? 0 : (int)((wait + 999) / 1000);
}

int main(int count, char **words)
{
    struct epoll_event ready[MOST_EVENTS];
    int poll = epoll_create1(0);
    if (count != 5) {
        fprintf(stderr, "usage: mock DIRECTORY EVENTS PACE_US PORTS\n");
        return 2;
    }
    answer = file(words[1], "answer");
    head = file(words[1], "head");
    event = file(words[1], "event");
    last = file(words[1], "last");
    events = atoi(words[2]);
    pace = atoll(words[3]);
    for (int i = 0; i < atoi(words[4]); i++)
        listen_on(poll);
    printf("\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poll, ready, MOST_EVENTS, patience());
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (c->listens)
                accept_from(poll, c);
            else
                read_from(c);
        }
        send_due(now_us());
    }
}
