/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/call-load.c - how many calls with tickets, at which rate, does a focus set up?
 *
 *   call-load ADDRESS:PORT CONFERENCE-URI IDENTITY TICKET-FILE CALLS RATE HOLD-MS
 *
 * Calls start RATE times a second whatever the server does. Each brings a TRANSFER_INIT of its own
 * made from one ticket, checks the TRANSFER_RESP of the answer, sends ACK, holds, and sends BYE.
 * Prints "started good failed repeated longest-ms refused": repeated INVITEs mean a server that was
 * late; refused are those that got 503 with Retry-After, an answer of a server that knows its limits,
 * or 486, since one user is in at so many ends at a time only.
 * The SIP here is as little as a load needs; conclave-ua is the real participant.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gio/gio.h>

#include "base/secret.h"
#include "sip/sdp.h"
#include "ua/keys.h"

#define REPEAT_US (500 * 1000)
#define GIVE_UP_US (20 * G_USEC_PER_SEC)

typedef enum Phase { CALLING, TALKING, LEAVING, DONE, FAILED, REFUSED } Phase;

typedef struct Call {
    Phase phase;
    gint64 started_us, due_us; /* due: of the next thing to do by itself */
    char *request;             /* INVITE or BYE, for repeating it */
    char *to_tag;
    ClvUaKeys *keys;
} Call;

typedef struct Load {
    int fd;
    char local[64], server[64];
    const char *uri, *identity;
    ClvUaOptions *options;
    Call *calls;
    guint n_calls, n_started, n_good, n_failed, n_repeated, n_refused, n_running;
    gint64 hold_us, interval_us, begin_us, longest_us;
} Load;

/* ---- messages ---- */

static char *
make_request(const Load *load, guint i, const char *method, guint cseq, const char *sdp)
{
    const Call *call = &load->calls[i];

    return g_strdup_printf("%s %s SIP/2.0\r\n"
                           "Via: SIP/2.0/UDP %s;branch=z9hG4bK%ux%s%u\r\n"
                           "From: <%s>;tag=f%u\r\n"
                           "To: <%s>%s%s\r\n"
                           "Call-ID: load-%d-%u\r\n"
                           "CSeq: %u %s\r\n"
                           "Contact: <sip:load@%s>\r\n"
                           "Max-Forwards: 70\r\n%s"
                           "Content-Length: %zu\r\n\r\n%s",
                           method, load->uri, load->local, i, method, cseq, load->identity, i,
                           load->uri, call->to_tag != NULL ? ";tag=" : "",
                           call->to_tag != NULL ? call->to_tag : "", getpid(), i, cseq, method,
                           load->local, sdp != NULL ? "Content-Type: application/sdp\r\n" : "",
                           sdp != NULL ? strlen(sdp) : 0, sdp != NULL ? sdp : "");
}

static void
transmit(const Load *load, const char *text)
{
    if (send(load->fd, text, strlen(text), 0) < 0 && errno != ECONNREFUSED)
        perror("send");
}

static char *
make_offer(Call *call, GError **error)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);
    ClvSdpMedia *media = &sdp->media[0];
    char *text = NULL;

    g_strlcpy(sdp->origin_user, "load", sizeof sdp->origin_user);
    g_strlcpy(sdp->origin.host, "127.0.0.1", sizeof sdp->origin.host);
    sdp->n_media = 1;
    g_strlcpy(media->type, "audio", sizeof media->type);
    g_strlcpy(media->rtp.host, "127.0.0.1", sizeof media->rtp.host);
    media->port = media->rtp.port = 9;
    media->codecs[0] = (ClvCodec){.pt = 8, .name = "PCMA", .rate_hz = 8000, .channels = 1};
    media->n_codecs = 1;
    media->direction = CLV_DIR_INACTIVE; /* the load is on calls here, not on media */
    if (clv_ua_keys_offer(call->keys, sdp, g_random_int(), error))
        text = clv_sdp_format(sdp);
    clv_sdp_free(sdp);
    return text;
}

/* Value of a header; NULL when it is not there. */
static char *
header(const char *message, const char *name)
{
    g_autofree char *start = g_strdup_printf("\r\n%s:", name);
    const char *found = strstr(message, start);
    const char *end = found != NULL ? strstr(found + 2, "\r\n") : NULL;

    if (end == NULL)
        return NULL;
    found += strlen(start);
    return g_strstrip(g_strndup(found, (gsize)(end - found)));
}

/* ---- a call's life ---- */

static void
finish(Load *load, Call *call, Phase phase, const char *why)
{
    if (phase == FAILED && load->n_failed++ < 5)
        fprintf(stderr, "call failed: %s\n", why);
    if (phase == DONE)
        load->n_good++;
    if (phase == REFUSED)
        load->n_refused++;
    call->phase = phase;
    load->n_running--;
    g_clear_pointer(&call->keys, clv_ua_keys_free);
    g_clear_pointer(&call->request, clv_secret_free_string);
    g_clear_pointer(&call->to_tag, g_free);
}

static void
start_call(Load *load, gint64 now_us)
{
    guint i = load->n_started++;
    Call *call = &load->calls[i];
    g_autoptr(GError) error = NULL;
    char *sdp = NULL;

    load->n_running++;
    call->phase = CALLING;
    call->started_us = now_us;
    call->due_us = now_us + REPEAT_US;
    call->keys = clv_ua_keys_new(load->options, &error);
    if (call->keys != NULL && clv_ua_keys_prepare(call->keys, load->uri, &error))
        sdp = make_offer(call, &error);
    if (sdp == NULL) {
        finish(load, call, FAILED, error->message);
        return;
    }
    call->request = make_request(load, i, "INVITE", 1, sdp);
    clv_secret_free_string(sdp);
    transmit(load, call->request);
}

static gboolean
check_answer(Call *call, const char *body, const char *contact, GError **error)
{
    ClvSdp *answer = clv_sdp_parse(body, strlen(body), error);
    ClvSrtpKeys tx = {0}, rx = {0};
    gboolean good =
        answer != NULL && clv_ua_keys_finish(call->keys, answer, contact, &tx, &rx, error);

    clv_srtp_keys_clear(&tx);
    clv_srtp_keys_clear(&rx);
    clv_sdp_free(answer);
    return good;
}

static void
take_answer(Load *load, guint i, const char *message, gint64 now_us)
{
    Call *call = &load->calls[i];
    g_autofree char *to = header(message, "To");
    g_autofree char *contact = header(message, "Contact");
    const char *tag = to != NULL ? strstr(to, ";tag=") : NULL;
    const char *body = strstr(message, "\r\n\r\n");
    g_autoptr(GError) error = NULL;
    g_autofree char *ack = NULL;
    char *end = contact != NULL ? strchr(contact, '>') : NULL;

    if (tag == NULL || body == NULL || end == NULL) {
        finish(load, call, FAILED, "a 200 without tag, body or Contact");
        return;
    }
    *end = '\0';
    call->to_tag = g_strdup(tag + strlen(";tag="));
    ack = make_request(load, i, "ACK", 1, NULL);
    transmit(load, ack);
    if (!check_answer(call, body + 4, contact + 1, &error)) {
        finish(load, call, FAILED, error->message);
        return;
    }
    load->longest_us = MAX(load->longest_us, now_us - call->started_us);
    call->phase = TALKING;
    call->due_us = now_us + load->hold_us;
}

/* The ACK of a refusal belongs to the INVITE's transaction: its branch, its CSeq. */
static void
acknowledge_refusal(Load *load, guint i, const char *message)
{
    const Call *call = &load->calls[i];
    g_autofree char *via = header(call->request, "Via");
    g_autofree char *to = header(message, "To");
    g_autofree char *ack =
        g_strdup_printf("ACK %s SIP/2.0\r\nVia: %s\r\nFrom: <%s>;tag=f%u\r\nTo: %s\r\n"
                        "Call-ID: load-%d-%u\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\n"
                        "Content-Length: 0\r\n\r\n",
                        load->uri, via, load->identity, i, to != NULL ? to : "", getpid(), i);

    transmit(load, ack);
}

static void
take_refusal(Load *load, guint i, guint status, const char *message)
{
    g_autofree char *retry_after = header(message, "Retry-After");

    acknowledge_refusal(load, i, message);
    finish(load, &load->calls[i],
           (status == 503 && retry_after != NULL) || status == 486 ? REFUSED : FAILED, message);
}

static void
take_message(Load *load, const char *message, gint64 now_us)
{
    g_autofree char *id = header(message, "Call-ID");
    g_autofree char *cseq = header(message, "CSeq");
    guint status = (guint)strtoul(message + strlen("SIP/2.0 "), NULL, 10);
    gint64 i = -1;

    if (id != NULL && strrchr(id, '-') != NULL)
        i = g_ascii_strtoll(strrchr(id, '-') + 1, NULL, 10);
    if (i < 0 || i >= load->n_started || cseq == NULL || status < 200)
        return;
    if (load->calls[i].phase == CALLING && strstr(cseq, "INVITE") != NULL) {
        if (status == 200)
            take_answer(load, (guint)i, message, now_us);
        else
            take_refusal(load, (guint)i, status, message);
    } else if (load->calls[i].phase == LEAVING && strstr(cseq, "BYE") != NULL) {
        finish(load, &load->calls[i], status == 200 ? DONE : FAILED, message);
    }
}

static void
hang_up(Load *load, guint i)
{
    Call *call = &load->calls[i];

    clv_secret_free_string(call->request);
    call->request = make_request(load, i, "BYE", 2, NULL);
    call->phase = LEAVING;
    transmit(load, call->request);
}

static void
look_after(Load *load, guint i, gint64 now_us)
{
    Call *call = &load->calls[i];

    if (call->phase >= DONE || call->due_us > now_us)
        return;
    if (now_us - call->started_us > GIVE_UP_US + load->hold_us) {
        finish(load, call, FAILED, "no answer in time");
        return;
    }
    if (call->phase == TALKING) {
        hang_up(load, i);
    } else {
        load->n_repeated++;
        transmit(load, call->request);
    }
    call->due_us = now_us + REPEAT_US;
}

/* ---- all of them ---- */

static void
receive_all(Load *load)
{
    char message[65536];
    ssize_t n;

    while ((n = recv(load->fd, message, sizeof message - 1, MSG_DONTWAIT)) > 0) {
        message[n] = '\0';
        if (strncmp(message, "SIP/2.0 ", 8) == 0)
            take_message(load, message, g_get_monotonic_time());
    }
}

static void
run(Load *load)
{
    guint first = 0;

    load->begin_us = g_get_monotonic_time();
    while (load->n_started < load->n_calls || load->n_running > 0) {
        struct pollfd wait = {.fd = load->fd, .events = POLLIN};
        gint64 now_us = g_get_monotonic_time();

        if (load->n_started < load->n_calls &&
            now_us >= load->begin_us + load->n_started * load->interval_us)
            start_call(load, now_us);
        while (first < load->n_started && load->calls[first].phase >= DONE)
            first++;
        for (guint i = first; i < load->n_started; i++)
            look_after(load, i, now_us);
        poll(&wait, 1, 1);
        receive_all(load);
    }
}

static gboolean
open_socket(Load *load, const char *address)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketConnectable) target = g_network_address_parse(address, 5060, &error);
    struct sockaddr_in to = {.sin_family = AF_INET}, me;
    socklen_t len = sizeof me;
    int bytes = 4 << 20;

    if (target == NULL ||
        inet_pton(AF_INET, g_network_address_get_hostname(G_NETWORK_ADDRESS(target)),
                  &to.sin_addr) != 1)
        return FALSE;
    to.sin_port = htons(g_network_address_get_port(G_NETWORK_ADDRESS(target)));
    load->fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(load->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (connect(load->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        getsockname(load->fd, (struct sockaddr *)&me, &len) != 0)
        return FALSE;
    g_snprintf(load->local, sizeof load->local, "127.0.0.1:%u", ntohs(me.sin_port));
    return TRUE;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    Load load = {0};

    if (argc != 8 || !open_socket(&load, argv[1])) {
        fprintf(stderr, "usage: call-load ADDRESS:PORT CONFERENCE-URI IDENTITY TICKET-FILE CALLS "
                        "RATE HOLD-MS\n");
        return 2;
    }
    load.uri = argv[2];
    load.identity = argv[3];
    load.n_calls = (guint)strtoul(argv[5], NULL, 10);
    load.interval_us = G_USEC_PER_SEC / MAX(strtol(argv[6], NULL, 10), 1);
    load.hold_us = strtol(argv[7], NULL, 10) * 1000;
    load.calls = g_new0(Call, load.n_calls);
    load.options =
        clv_ua_options_parse(7,
                             (const char *const[]){"call-load", "join", argv[2], "--identity",
                                                   argv[3], "--ticket-file", argv[4]},
                             &error);
    if (load.options == NULL) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    run(&load);
    printf("%u %u %u %u %.1f %u\n", load.n_started, load.n_good, load.n_failed, load.n_repeated,
           (double)load.longest_us / 1000, load.n_refused);
    clv_ua_options_free(load.options);
    g_free(load.calls);
    return load.n_failed == 0 ? 0 : 1;
}
