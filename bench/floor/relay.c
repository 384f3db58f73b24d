/*
 * relay: the floor of the benchmarks. A TCP relay that does nothing but move bytes: one thread, one
 * level-triggered epoll set, one read buffer, no timers, no accounting, no protocol. What it costs
 * per query is what the kernel's socket work costs; what a proxy costs above it is the proxy's own.
 *
 * Usage: relay LISTEN-ADDRESS LISTEN-PORT SERVER-ADDRESS SERVER-PORT (IPv4 addresses)
 *
 * It keeps back-pressure: an end that can not take all it was given holds the rest, and its peer is
 * not read meanwhile. An end of stream is passed on when what came before it is written.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_MAX = 64 * 1024,	/* bytes read per call, and the most one end may hold back */
	EVENTS_MAX = 256,	/* events taken per wait */
};

/* An end is one of the two connections of a pair. */
struct end {
	int fd;			/* -1 once closed */
	struct end *peer;
	char *held;		/* bytes of the peer that this end could not take yet */
	size_t held_from, held_to;
	int eof;		/* this end will send no more */
	int eof_passed;		/* the peer's end of stream has been passed to this end */
	int unwatched;		/* out of the poller: it is hung up, and nothing is wanted of it */
};

static char buffer[READ_MAX];
static int poller;

/* Both ends of a closed pair wait here until the turn is over: its events may still name them. */
static struct end *dead[EVENTS_MAX];
static int dead_count;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(struct end *e)
{
	int want_read = !e->eof && e->peer->held_from == e->peer->held_to;
	int want_write = e->held_from < e->held_to;
	struct epoll_event ev = {
		.events = (want_read ? EPOLLIN : 0) | (want_write ? EPOLLOUT : 0),
		.data.ptr = e,
	};
	if (e->unwatched && ev.events == 0)
		return;
	epoll_ctl(poller, e->unwatched ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, e->fd, &ev);
	e->unwatched = 0;
}

static void close_pair(struct end *e)
{
	close(e->fd);
	close(e->peer->fd);
	e->fd = e->peer->fd = -1;
	dead[dead_count++] = e;
}

static void free_dead(void)
{
	while (dead_count > 0) {
		struct end *e = dead[--dead_count];
		free(e->peer->held);
		free(e->held);
		free(e->peer);
		free(e);
	}
}

/* pass_eof tells e that its peer sends no more, once everything before that is written. */
static void pass_eof(struct end *e)
{
	if (!e->peer->eof || e->held_from < e->held_to || e->eof_passed)
		return;
	e->eof_passed = 1;
	shutdown(e->fd, SHUT_WR);
	if (e->eof && e->peer->eof_passed)
		close_pair(e);
}

/* hold keeps what e could not take and stops the reading of its peer. */
static int hold(struct end *e, const char *rest, size_t n)
{
	if (e->held == NULL && (e->held = malloc(READ_MAX)) == NULL)
		return -1;
	memcpy(e->held, rest, n);
	e->held_from = 0;
	e->held_to = n;
	watch(e);
	watch(e->peer);
	return 0;
}

static void on_readable(struct end *e)
{
	struct end *to = e->peer;
	ssize_t n = recv(e->fd, buffer, sizeof buffer, 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			close_pair(e);
		return;
	}
	if (n == 0) {
		e->eof = 1;
		watch(e);
		pass_eof(to);
		return;
	}
	ssize_t sent = send(to->fd, buffer, n, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			close_pair(e);
			return;
		}
		sent = 0;
	}
	if (sent < n && hold(to, buffer + sent, n - sent) < 0)
		close_pair(e);
}

static void on_writable(struct end *e)
{
	ssize_t n = send(e->fd, e->held + e->held_from, e->held_to - e->held_from, MSG_NOSIGNAL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			close_pair(e);
		return;
	}
	e->held_from += n;
	if (e->held_from < e->held_to)
		return;
	watch(e);
	watch(e->peer);
	pass_eof(e);
}

/* on_hang_up: both directions of e's connection are over. If ours is over since the peer's end was passed
 * on, nothing is broken: what e sent may still lie in the kernel, or with the peer, which is slow. The
 * poller would tell of it again and again, so e leaves it until something is wanted of e. */
static void on_hang_up(struct end *e, unsigned events)
{
	if (!e->eof_passed || events & EPOLLERR) {
		close_pair(e);
		return;
	}
	epoll_ctl(poller, EPOLL_CTL_DEL, e->fd, NULL);
	e->unwatched = 1;
}

static struct end *add(int fd)
{
	int on = 1;
	struct end *e = calloc(1, sizeof *e);
	if (e == NULL)
		die("calloc");
	e->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
	return e;
}

/* on_client joins a new client with a connection to the server. The connect does not wait: what the
 * client sends before it is through meets EAGAIN and is held. */
static void on_client(int listener, const struct sockaddr_in *server)
{
	int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client < 0)
		return;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || (connect(fd, (const struct sockaddr *)server, sizeof *server) < 0 &&
		       errno != EINPROGRESS)) {
		close(client);
		if (fd >= 0)
			close(fd);
		return;
	}
	struct end *a = add(client), *b = add(fd);
	a->peer = b;
	b->peer = a;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		fprintf(stderr, "relay: %s is not an IPv4 address\n", host);
		exit(2);
	}
	return a;
}

static int listen_at(struct sockaddr_in at)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		die("bind");
	if (listen(fd, SOMAXCONN) < 0)
		die("listen");
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: relay LISTEN-ADDRESS LISTEN-PORT SERVER-ADDRESS SERVER-PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	struct sockaddr_in server = address(argv[3], argv[4]);
	int listener = listen_at(address(argv[1], argv[2]));
	if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create1");
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev) < 0)
		die("epoll_ctl");
	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		int n = epoll_wait(poller, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++) {
			struct end *e = events[i].data.ptr;
			if (e == NULL) {
				on_client(listener, &server);
				continue;
			}
			if (e->fd >= 0 && events[i].events & EPOLLOUT)
				on_writable(e);
			if (e->fd >= 0 && events[i].events & EPOLLIN)
				on_readable(e);
			if (e->fd >= 0 && events[i].events & (EPOLLHUP | EPOLLERR) &&
			    !(events[i].events & EPOLLIN))
				on_hang_up(e, events[i].events);
		}
		free_dead();
	}
}
