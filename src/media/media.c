/* SPDX-License-Identifier: Apache-2.0 */
/* media/media.c - the signalling thread's side: makes legs, lends them, takes them back */
#include "media/media.h"

#include "base/log.h"
#include "media/loop.h"
#include "media/ports.h"
#include "media/prompts.h"

#include <errno.h>
#include <math.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PORT_FIRST 16384
#define PORT_LAST 32767
#define MAX_THREADS 64
#define DEFAULT_LEGS 4096
#define COMMANDS_PER_LEG 2
#define COMMANDS_MIN 256

/* A thread and the commands that are out, or wait because too many are. */
typedef struct Lane {
    ClvShard *shard;
    guint out, max_out;
    guint n_legs;
    guint64 seen_ticks;
    GQueue waiting;
} Lane;

struct ClvMedia {
    int event_fd;
    ClvSrtpEngine engine;
    guint16 port_first, port_last;
    guint max_legs;
    guint n_lanes;
    Lane *lanes;
    GHashTable *legs;                 /* ClvLegId -> ClvMediaLeg */
    GHashTable *leaving;              /* set of ClvMediaLeg that are closed and not home yet */
    GHashTable *rooms;                /* ClvConferenceId -> ClvRoom */
    guint64 gone[CLV_N_LEG_COUNTERS]; /* sums over legs that came home */
    ClvPrompts *prompts;
};

/* ---- commands out, homecomings in --------------------------------------------------------- */

static void
leg_free(ClvMediaLeg *leg)
{
    if (leg == NULL)
        return;
    if (leg->rtp_fd >= 0)
        close(leg->rtp_fd);
    if (leg->rtcp_fd >= 0)
        close(leg->rtcp_fd);
    clv_srtp_free(leg->rx);
    clv_srtp_free(leg->tx);
    OPENSSL_cleanse(leg, sizeof *leg);
    g_free(leg);
}

static void
room_free(ClvRoom *room)
{
    if (room == NULL)
        return;
    g_hash_table_unref(room->ssrcs);
    g_free(room->plan);
    g_free(room);
}

static Lane *
lane_of(ClvMedia *media, const ClvShard *shard)
{
    for (guint i = 0; i < media->n_lanes; i++) {
        if (media->lanes[i].shard == shard)
            return &media->lanes[i];
    }
    g_assert_not_reached();
}

static void
lane_flush(Lane *lane)
{
    while (!g_queue_is_empty(&lane->waiting) && lane->out < lane->max_out &&
           clv_shard_send(lane->shard, g_queue_peek_head(&lane->waiting))) {
        (void)g_queue_pop_head(&lane->waiting);
        lane->out++;
    }
}

static void
lane_send(Lane *lane, ClvCommand *command)
{
    g_queue_push_tail(&lane->waiting, command);
    lane_flush(lane);
}

static ClvCommand *
command_new(ClvCommandKind kind, ClvMediaLeg *leg, ClvRoom *room, guint n_parts)
{
    ClvCommand *command = g_malloc0(sizeof *command + n_parts * sizeof command->parts[0]);

    command->kind = kind;
    command->leg = leg;
    command->room = room;
    command->n_parts = n_parts;
    return command;
}

/* Frees a command and what it displaced. */
static void
command_free(ClvCommand *command)
{
    clv_srtp_free(command->rx);
    clv_srtp_free(command->tx);
    if (command->kind == CLV_COMMAND_CLOSE)
        leg_free(command->leg);
    if (command->kind == CLV_COMMAND_END)
        room_free(command->room);
    g_free(command);
}

int
clv_media_event_fd(const ClvMedia *media)
{
    g_return_val_if_fail(media != NULL, -1);
    return media->event_fd;
}

/* Of an older prompt, or told already: a later one overtook the news of it. */
static gboolean
is_stale(ClvMediaLeg *leg, guint64 over)
{
    guint32 serial = (guint32)(over >> 32);

    if (serial != leg->prompt_asked || serial == leg->prompt_told)
        return TRUE;
    leg->prompt_told = serial;
    return FALSE;
}

/* What the media thread wrote stands still until the bit is clear (a key, an SSRC), or may be
 * overtaken by later news of the same kind, which then need no telling of their own. */
static void
deliver(const ClvHomecoming *news, ClvMediaHandler handler, void *user)
{
    ClvMediaLeg *leg = news->leg;
    guint64 key = clv_leg_count(leg, CLV_LEG_KEY), over;
    guint64 collision = clv_leg_count(leg, CLV_LEG_COLLISION);
    guint32 value = 0;

    atomic_fetch_and_explicit(&leg->pending, ~(1u << news->kind), memory_order_acq_rel);
    over = clv_leg_count(leg, CLV_LEG_PROMPT_OVER);
    if (leg->closing || handler == NULL ||
        (news->kind == CLV_MEDIA_PROMPTED && is_stale(leg, over)))
        return;
    if (news->kind == CLV_MEDIA_TALKING)
        value = (guint32)clv_leg_count(leg, CLV_LEG_TALKING);
    else if (news->kind == CLV_MEDIA_DTMF)
        value = (guint32)key;
    else if (news->kind == CLV_MEDIA_COLLISION)
        value = (guint32)collision;
    else if (news->kind == CLV_MEDIA_PROMPTED)
        value = (guint32)over;
    handler(news->kind, leg->id, value, user);
}

/* What it counted outlives it. */
static void
leave(ClvMedia *media, ClvMediaLeg *leg)
{
    for (guint i = 0; i < CLV_N_LEG_COUNTERS; i++)
        media->gone[i] += clv_leg_count(leg, (ClvLegCounter)i);
    g_hash_table_remove(media->leaving, leg);
}

static void
come_home(ClvMedia *media, Lane *lane, ClvCommand *command, ClvMediaHandler handler, void *user)
{
    ClvLegId closed = command->kind == CLV_COMMAND_CLOSE ? command->leg->id : 0;

    lane->out--;
    if (command->kind == CLV_COMMAND_CLOSE)
        leave(media, command->leg);
    command_free(command);
    if (closed != 0 && handler != NULL)
        handler(CLV_MEDIA_CLOSED, closed, 0, user);
}

void
clv_media_dispatch(ClvMedia *media, ClvMediaHandler handler, void *user)
{
    guint64 rung;
    ClvHomecoming news;

    g_return_if_fail(media != NULL);
    if (read(media->event_fd, &rung, sizeof rung) < 0 && errno != EAGAIN)
        return;
    for (guint i = 0; i < media->n_lanes; i++) {
        Lane *lane = &media->lanes[i];

        while (clv_shard_receive(lane->shard, &news)) {
            if (news.command != NULL)
                come_home(media, lane, news.command, handler, user);
            else
                deliver(&news, handler, user);
        }
        lane_flush(lane);
    }
}

/* ---- the room's own life ------------------------------------------------------------------ */

static gboolean
start_lanes(ClvMedia *media, const ClvMediaConfig *config, GError **error)
{
    ClvShardSetup setup = {
        .max_legs = media->max_legs,
        .commands = MAX(COMMANDS_MIN, media->max_legs * COMMANDS_PER_LEG),
        .event_fd = media->event_fd,
        .silence_ns = config->silence_ms * 1000000,
        .cname = config->cname != NULL ? config->cname : "conclave",
        .realtime = config->realtime,
    };

    for (guint i = 0; i < media->n_lanes; i++) {
        Lane *lane = &media->lanes[i];

        setup.number = i;
        g_queue_init(&lane->waiting);
        lane->max_out = setup.commands;
        lane->shard = clv_shard_new(&setup, error);
        if (lane->shard == NULL)
            return FALSE;
    }
    return TRUE;
}

static void
load_prompts(ClvMedia *media, const char *dir)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    media->prompts = clv_prompts_load(dir, warnings);
    for (guint i = 0; i < warnings->len; i++)
        clv_log(CLV_LOG_WARNING, NULL, "prompts", "%s",
                (const char *)g_ptr_array_index(warnings, i));
}

ClvMedia *
clv_media_new(const ClvMediaConfig *config, GError **error)
{
    ClvMedia *media = g_new0(ClvMedia, 1);
    guint threads = config->threads != 0 ? config->threads : g_get_num_processors();

    clv_g711_init();
    load_prompts(media, config->prompts_dir);
    media->engine = config->use_libsrtp ? CLV_SRTP_LIBSRTP : CLV_SRTP_OPENSSL;
    media->port_first = config->port_first != 0 ? config->port_first : PORT_FIRST;
    media->port_last = config->port_last != 0 ? config->port_last : PORT_LAST;
    media->max_legs = config->max_legs != 0 ? config->max_legs : DEFAULT_LEGS;
    media->legs = g_hash_table_new(g_int64_hash, g_int64_equal);
    media->leaving = g_hash_table_new(NULL, NULL);
    media->rooms = g_hash_table_new(g_int64_hash, g_int64_equal);
    media->n_lanes = MIN(threads, MAX_THREADS);
    media->lanes = g_new0(Lane, media->n_lanes);
    media->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (media->event_fd < 0) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SYSTEM, "cannot make an eventfd: %s",
                    g_strerror(errno));
        clv_media_free(media);
        return NULL;
    }
    if (!start_lanes(media, config, error)) {
        clv_media_free(media);
        return NULL;
    }
    return media;
}

/* What came home or never left, once the thread has ended. */
static void
lane_clear(Lane *lane)
{
    ClvHomecoming news;
    ClvCommand *command;

    if (lane->shard == NULL)
        return;
    clv_shard_stop(lane->shard);
    while (clv_shard_receive(lane->shard, &news)) {
        if (news.command != NULL)
            command_free(news.command);
    }
    while ((command = g_queue_pop_head(&lane->waiting)) != NULL)
        command_free(command);
    clv_shard_free(lane->shard);
}

/* The keys that one was changing from come home at the change's end, which it never saw. */
static void
free_leg_entry(gpointer key, gpointer data, gpointer unused)
{
    ClvMediaLeg *leg = data;

    if (leg->rekeying != NULL)
        command_free(leg->rekeying);
    leg_free(leg);
}

static void
free_room_entry(gpointer key, gpointer room, gpointer unused)
{
    room_free(room);
}

void
clv_media_free(ClvMedia *media)
{
    if (media == NULL)
        return;
    for (guint i = 0; i < media->n_lanes; i++)
        lane_clear(&media->lanes[i]);
    g_hash_table_foreach(media->legs, free_leg_entry, NULL);
    g_hash_table_unref(media->legs);
    g_hash_table_unref(media->leaving);
    g_hash_table_foreach(media->rooms, free_room_entry, NULL);
    g_hash_table_unref(media->rooms);
    if (media->event_fd >= 0)
        close(media->event_fd);
    g_free(media->lanes);
    clv_prompts_free(media->prompts);
    g_free(media);
}

/* ---- ports -------------------------------------------------------------------------------- */

ClvMediaPorts *
clv_media_ports_open(ClvMedia *media, const char *local_host, GError **error)
{
    return clv_ports_open(local_host, media->port_first, media->port_last, error);
}

/* ---- conferences -------------------------------------------------------------------------- */

static Lane *
idlest_lane(ClvMedia *media)
{
    Lane *best = &media->lanes[0];

    for (guint i = 1; i < media->n_lanes; i++) {
        if (media->lanes[i].n_legs < best->n_legs)
            best = &media->lanes[i];
    }
    return best;
}

static ClvRoom *
room_for(ClvMedia *media, ClvConferenceId id)
{
    ClvRoom *room = g_hash_table_lookup(media->rooms, &id);

    if (room != NULL)
        return room;
    room = g_new0(ClvRoom, 1);
    room->id = id;
    room->shard = idlest_lane(media)->shard;
    room->ssrcs = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_hash_table_insert(media->rooms, &room->id, room);
    return room;
}

static gboolean
peer_uses_ssrc(ClvMedia *media, const ClvRoom *room, guint32 ssrc)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, media->legs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ClvMediaLeg *leg = value;

        if (leg->room == room && clv_leg_count(leg, CLV_LEG_RX_SSRC) == ssrc)
            return TRUE;
    }
    return FALSE;
}

/* Random; without a good source of it nothing secure can go on. */
static void
random_bytes(void *out, int len)
{
    if (RAND_bytes(out, len) != 1)
        g_error("OpenSSL has no random numbers");
}

guint32
clv_media_new_ssrc(ClvMedia *media, ClvConferenceId conference)
{
    ClvRoom *room = room_for(media, conference);
    guint32 ssrc;

    do
        random_bytes(&ssrc, sizeof ssrc);
    while (ssrc == 0 || g_hash_table_contains(room->ssrcs, GUINT_TO_POINTER(ssrc)) ||
           peer_uses_ssrc(media, room, ssrc));
    g_hash_table_add(room->ssrcs, GUINT_TO_POINTER(ssrc));
    return ssrc;
}

void
clv_media_drop_ssrc(ClvMedia *media, ClvConferenceId conference, guint32 ssrc)
{
    ClvRoom *room = g_hash_table_lookup(media->rooms, &conference);

    if (room != NULL)
        g_hash_table_remove(room->ssrcs, GUINT_TO_POINTER(ssrc));
}

static const ClvMixMember *
planned(const ClvRoom *room, ClvLegId leg)
{
    for (guint i = 0; room->plan != NULL && i < room->plan->n_members; i++) {
        if (room->plan->members[i].leg == leg)
            return &room->plan->members[i];
    }
    return NULL;
}

void
clv_media_publish(ClvMedia *media, ClvMixPlan *plan)
{
    ClvRoom *room = room_for(media, plan->conference);
    ClvCommand *command = command_new(CLV_COMMAND_PLAN, NULL, room, plan->n_members);

    command->n_parts = 0;
    for (guint i = 0; i < plan->n_members; i++) {
        const ClvMixMember *member = &plan->members[i];
        ClvMediaLeg *leg = g_hash_table_lookup(media->legs, &member->leg);

        if (leg != NULL && leg->room == room)
            command->parts[command->n_parts++] =
                (ClvPlanPart){.leg = leg, .talks = member->talks, .hears = member->hears};
    }
    g_free(room->plan);
    room->plan = plan;
    lane_send(lane_of(media, room->shard), command);
}

void
clv_media_end(ClvMedia *media, ClvConferenceId conference)
{
    ClvRoom *room = g_hash_table_lookup(media->rooms, &conference);

    if (room == NULL)
        return;
    g_return_if_fail(room->n_legs == 0);
    g_hash_table_remove(media->rooms, &conference);
    lane_send(lane_of(media, room->shard), command_new(CLV_COMMAND_END, NULL, room, 0));
}

/* ---- legs --------------------------------------------------------------------------------- */

static gboolean
law_of(const char *codec, ClvG711Law *out, GError **error)
{
    static const char *const names[CLV_N_G711_LAWS] = {"PCMU", "PCMA"};

    for (guint i = 0; i < CLV_N_G711_LAWS; i++) {
        if (codec != NULL && g_ascii_strcasecmp(codec, names[i]) == 0) {
            *out = (ClvG711Law)i;
            return TRUE;
        }
    }
    g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_CODEC, "no codec '%s' in this mixer",
                codec != NULL ? codec : "");
    return FALSE;
}

/* One key and salt for both directions and one SSRC in both would be a two-time pad: such a
 * keying is refused whatever the SSRCs are. */
static gboolean
directions_differ(const ClvSrtpKeys *rx, const ClvSrtpKeys *tx, GError **error)
{
    if (rx->suite == CLV_SRTP_NONE || rx->suite != tx->suite || rx->key_len != tx->key_len ||
        rx->salt_len != tx->salt_len || rx->key_len > sizeof rx->key ||
        rx->salt_len > sizeof rx->salt || CRYPTO_memcmp(rx->key, tx->key, rx->key_len) != 0 ||
        CRYPTO_memcmp(rx->salt, tx->salt, rx->salt_len) != 0)
        return TRUE;
    g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_SRTP,
                "both directions have the same SRTP key and salt");
    return FALSE;
}

static gboolean
make_contexts(ClvMedia *media, const ClvSrtpKeys *rx, const ClvSrtpKeys *tx, guint32 ssrc,
              ClvSrtp **out_rx, ClvSrtp **out_tx, GError **error)
{
    ClvSrtpKeys ours = *tx;
    g_autoptr(ClvSrtp) receive = NULL;
    ClvSrtp *send;

    ours.has_ssrc = TRUE;
    ours.ssrc = ssrc;
    receive = directions_differ(rx, tx, error)
                  ? clv_srtp_new(media->engine, rx, CLV_SRTP_RECEIVE, error)
                  : NULL;
    send = receive != NULL ? clv_srtp_new(media->engine, &ours, CLV_SRTP_SEND, error) : NULL;
    OPENSSL_cleanse(&ours, sizeof ours);
    if (send == NULL)
        return FALSE;
    *out_rx = g_steal_pointer(&receive);
    *out_tx = send;
    return TRUE;
}

/* An address that does not say where to (no port, or the wrong family) leaves the peer to be
 * found by his first authentic packet. */
static ClvPeer
peer_at(const ClvAddress *address, int family)
{
    ClvPeer peer;

    if (address == NULL || address->port == 0 ||
        !clv_peer_parse(address->host, address->port, &peer) || peer.address.ss_family != family)
        return (ClvPeer){0};
    return peer;
}

/* A participant's own CNAME may say who or where he is, and the roster may have promised not to. */
static void
make_alias(ClvMediaLeg *leg)
{
    guint8 octets[CLV_LEG_ALIAS];

    random_bytes(octets, sizeof octets);
    for (guint i = 0; i < sizeof octets; i++)
        g_snprintf(leg->alias + 2 * i, 3, "%02x", octets[i]);
}

static ClvMediaLeg *
leg_new(const ClvMediaSetup *setup, const ClvMediaPorts *ports)
{
    ClvMediaLeg *leg = g_new0(ClvMediaLeg, 1);

    leg->id = setup->leg;
    leg->rtp_fd = leg->rtcp_fd = -1;
    leg->rtcp_mux = setup->rtcp_mux;
    leg->dtmf_pt = setup->dtmf_pt;
    leg->terms.rtp = peer_at(&setup->remote_rtp, ports->family);
    leg->terms.rtcp = peer_at(&setup->remote_rtcp, ports->family);
    leg->terms.direction = setup->direction;
    leg->terms.pt = setup->pt;
    leg->rtp_to = leg->terms.rtp;
    leg->rtcp_to = leg->terms.rtcp;
    random_bytes(&leg->tx_seq, sizeof leg->tx_seq);
    leg->tx_seq &= 0x7fff; /* RFC 3711 section 3.3.1: not near the first rollover */
    random_bytes(&leg->tx_timestamp, sizeof leg->tx_timestamp);
    make_alias(leg);
    return leg;
}

static gboolean
may_open(ClvMedia *media, const ClvMediaSetup *setup, GError **error)
{
    if (g_hash_table_contains(media->legs, &setup->leg)) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_LEG,
                    "leg %" G_GUINT64_FORMAT " has its media open already", setup->leg);
        return FALSE;
    }
    if (g_hash_table_size(media->legs) >= media->max_legs) {
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_FULL, "%u participants are the limit",
                    media->max_legs);
        return FALSE;
    }
    return TRUE;
}

static guint32
said_ssrc(const ClvSrtpKeys *rx)
{
    return rx->has_ssrc ? rx->ssrc : 0;
}

static void
lend(ClvMedia *media, ClvMediaLeg *leg, ClvRoom *room, guint32 said_ssrc)
{
    Lane *lane = lane_of(media, room->shard);
    ClvCommand *command = command_new(CLV_COMMAND_OPEN, leg, NULL, 0);
    const ClvMixMember *member = planned(room, leg->id);

    leg->room = room;
    leg->shard = room->shard;
    room->n_legs++;
    lane->n_legs++;
    g_hash_table_insert(media->legs, &leg->id, leg);
    command->talks = member != NULL && member->talks;
    command->hears = member != NULL && member->hears;
    command->said_ssrc = said_ssrc;
    lane_send(lane, command);
}

gboolean
clv_media_open(ClvMedia *media, const ClvMediaSetup *setup, ClvMediaPorts *ports, GError **error)
{
    ClvMediaLeg *leg;
    ClvG711Law law;
    ClvRoom *room;

    if (!may_open(media, setup, error) || !law_of(setup->codec, &law, error)) {
        clv_media_ports_close(ports);
        return FALSE;
    }
    room = room_for(media, setup->conference);
    leg = leg_new(setup, ports);
    leg->terms.law = law;
    if (setup->has_local_ssrc)
        leg->tx_ssrc = setup->local_ssrc;
    else if (setup->tx.has_ssrc)
        leg->tx_ssrc = setup->tx.ssrc;
    else
        leg->tx_ssrc = clv_media_new_ssrc(media, setup->conference);
    if (!make_contexts(media, &setup->rx, &setup->tx, leg->tx_ssrc, &leg->rx, &leg->tx, error)) {
        leg_free(leg);
        clv_media_ports_close(ports);
        return FALSE;
    }
    g_hash_table_add(room->ssrcs, GUINT_TO_POINTER(leg->tx_ssrc));
    if (room->n_legs == 0 && setup->cname != NULL && room->cname[0] == '\0')
        g_strlcpy(room->cname, setup->cname, sizeof room->cname);
    leg->rtp_fd = ports->rtp_fd;
    leg->rtcp_fd = ports->rtcp_fd;
    g_free(ports);
    atomic_init(&leg->counters[CLV_LEG_TX_SSRC], leg->tx_ssrc);
    atomic_init(&leg->counters[CLV_LEG_SUITE], (guint64)setup->rx.suite);
    lend(media, leg, room, said_ssrc(&setup->rx));
    return TRUE;
}

static ClvMediaLeg *
find_leg(ClvMedia *media, ClvLegId id, GError **error)
{
    ClvMediaLeg *leg = g_hash_table_lookup(media->legs, &id);

    if (leg == NULL)
        g_set_error(error, CLV_MEDIA_ERROR, CLV_MEDIA_ERROR_LEG,
                    "leg %" G_GUINT64_FORMAT " has no media", id);
    return leg;
}

static int
family_of(int fd)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof own;

    return getsockname(fd, (struct sockaddr *)&own, &len) == 0 ? own.ss_family : AF_UNSPEC;
}

gboolean
clv_media_change(ClvMedia *media, ClvLegId id, ClvDirection direction, const ClvAddress *remote_rtp,
                 const ClvAddress *remote_rtcp, guint8 pt, const char *codec, GError **error)
{
    ClvMediaLeg *leg = find_leg(media, id, error);
    ClvCommand *command;
    ClvG711Law law;
    int family;

    if (leg == NULL || !law_of(codec, &law, error))
        return FALSE;
    family = family_of(leg->rtp_fd);
    command = command_new(CLV_COMMAND_CHANGE, leg, NULL, 0);
    command->terms = (ClvLegTerms){.rtp = peer_at(remote_rtp, family),
                                   .rtcp = peer_at(remote_rtcp, family),
                                   .direction = direction,
                                   .law = law,
                                   .pt = pt};
    lane_send(lane_of(media, leg->shard), command);
    return TRUE;
}

gboolean
clv_media_rekey(ClvMedia *media, ClvLegId id, const ClvSrtpKeys *rx, const ClvSrtpKeys *tx,
                GError **error)
{
    ClvMediaLeg *leg = find_leg(media, id, error);
    ClvSrtp *receive = NULL, *send = NULL;
    ClvCommand *command;

    if (leg == NULL || !make_contexts(media, rx, tx, leg->tx_ssrc, &receive, &send, error))
        return FALSE;
    command = command_new(CLV_COMMAND_REKEY, leg, NULL, 0);
    command->rx = receive;
    command->tx = send;
    command->said_ssrc = said_ssrc(rx);
    atomic_store_explicit(&leg->counters[CLV_LEG_SUITE], (guint64)rx->suite, memory_order_relaxed);
    lane_send(lane_of(media, leg->shard), command);
    return TRUE;
}

void
clv_media_rekeyed(ClvMedia *media, ClvLegId id)
{
    ClvMediaLeg *leg = find_leg(media, id, NULL);

    if (leg != NULL)
        lane_send(lane_of(media, leg->shard), command_new(CLV_COMMAND_SWITCH, leg, NULL, 0));
}

void
clv_media_prompt(ClvMedia *media, ClvLegId id, ClvPrompt prompt)
{
    ClvMediaLeg *leg = g_hash_table_lookup(media->legs, &id);
    const ClvPromptSound *sound = clv_prompts_sound(media->prompts, prompt);
    ClvCommand *command;

    if (leg == NULL || sound == NULL)
        return;
    command = command_new(CLV_COMMAND_PROMPT, leg, NULL, 0);
    command->prompt = sound;
    command->prompt_serial = ++leg->prompt_asked;
    lane_send(lane_of(media, leg->shard), command);
}

gboolean
clv_media_dtmf(ClvMedia *media, ClvLegId id, gint dtmf_pt, GError **error)
{
    ClvMediaLeg *leg = find_leg(media, id, error);
    ClvCommand *command;

    if (leg == NULL)
        return FALSE;
    command = command_new(CLV_COMMAND_DTMF, leg, NULL, 0);
    command->dtmf_pt = dtmf_pt;
    lane_send(lane_of(media, leg->shard), command);
    return TRUE;
}

void
clv_media_close(ClvMedia *media, ClvLegId id)
{
    ClvMediaLeg *leg = g_hash_table_lookup(media->legs, &id);
    Lane *lane;

    if (leg == NULL)
        return;
    lane = lane_of(media, leg->shard);
    g_hash_table_remove(media->legs, &id);
    g_hash_table_add(media->leaving, leg);
    leg->closing = true;
    leg->room->n_legs--;
    lane->n_legs--;
    lane_send(lane, command_new(CLV_COMMAND_CLOSE, leg, NULL, 0));
}

/* ---- figures ------------------------------------------------------------------------------ */

static gint
level_of(guint64 power)
{
    double mean = (double)power * 256 / CLV_MIX_SAMPLES;
    double level = mean > 0 ? 10 * log10(mean / (32768.0 * 32768.0)) : -127;

    return (gint)CLAMP(lrint(level), -127, 0);
}

gboolean
clv_media_stats(ClvMedia *media, ClvLegId id, ClvMediaStats *out)
{
    const ClvMediaLeg *leg = g_hash_table_lookup(media->legs, &id);

    if (leg == NULL)
        return FALSE;
    *out = (ClvMediaStats){
        .rx_packets = clv_leg_count(leg, CLV_LEG_RX_PACKETS),
        .rx_bytes = clv_leg_count(leg, CLV_LEG_RX_BYTES),
        .tx_packets = clv_leg_count(leg, CLV_LEG_TX_PACKETS),
        .tx_bytes = clv_leg_count(leg, CLV_LEG_TX_BYTES),
        .rx_lost = clv_leg_count(leg, CLV_LEG_LOST),
        .rx_auth_failed = clv_leg_count(leg, CLV_LEG_AUTH_FAILED),
        .rx_replayed = clv_leg_count(leg, CLV_LEG_REPLAYED),
        .rx_clear = clv_leg_count(leg, CLV_LEG_CLEAR),
        .rx_malformed = clv_leg_count(leg, CLV_LEG_MALFORMED),
        .rx_late = clv_leg_count(leg, CLV_LEG_LATE),
        .rx_duplicate = clv_leg_count(leg, CLV_LEG_DUPLICATE),
        .rx_wrong_source = clv_leg_count(leg, CLV_LEG_WRONG_SOURCE),
        .concealed = clv_leg_count(leg, CLV_LEG_CONCEALED),
        .jitter_us = (guint32)clv_leg_count(leg, CLV_LEG_JITTER_US),
        .rx_ssrc = (guint32)clv_leg_count(leg, CLV_LEG_RX_SSRC),
        .tx_ssrc = (guint32)clv_leg_count(leg, CLV_LEG_TX_SSRC),
        .peer_lost_fraction = (guint32)clv_leg_count(leg, CLV_LEG_PEER_FRACTION),
        .level_dbov = level_of(clv_leg_count(leg, CLV_LEG_POWER)),
        .suite = (ClvSrtpSuite)clv_leg_count(leg, CLV_LEG_SUITE),
    };
    return TRUE;
}

static void
add_legs(GHashTable *legs, guint64 sums[CLV_N_LEG_COUNTERS])
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, legs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        for (guint i = 0; i < CLV_N_LEG_COUNTERS; i++)
            sums[i] += clv_leg_count(value, (ClvLegCounter)i);
    }
}

/* A leg is counted in one place at any time, so that no sum ever shrinks. */
static ClvMediaTotals
packet_totals(ClvMedia *media)
{
    guint64 sums[CLV_N_LEG_COUNTERS];

    memcpy(sums, media->gone, sizeof sums);
    add_legs(media->legs, sums);
    add_legs(media->leaving, sums);
    return (ClvMediaTotals){
        .rx_packets = sums[CLV_LEG_RX_PACKETS],
        .rx_bytes = sums[CLV_LEG_RX_BYTES],
        .tx_packets = sums[CLV_LEG_TX_PACKETS],
        .tx_bytes = sums[CLV_LEG_TX_BYTES],
        .dropped = sums[CLV_LEG_DROPPED],
        .rx_lost = sums[CLV_LEG_LOST],
        .rx_auth_failed = sums[CLV_LEG_AUTH_FAILED],
        .rx_replayed = sums[CLV_LEG_REPLAYED],
        .rx_clear = sums[CLV_LEG_CLEAR],
        .rx_malformed = sums[CLV_LEG_MALFORMED],
        .rx_late = sums[CLV_LEG_LATE],
        .rx_duplicate = sums[CLV_LEG_DUPLICATE],
        .rx_wrong_source = sums[CLV_LEG_WRONG_SOURCE],
        .concealed = sums[CLV_LEG_CONCEALED],
    };
}

gboolean
clv_media_alive(ClvMedia *media)
{
    gboolean alive = TRUE;

    for (guint i = 0; i < media->n_lanes; i++) {
        Lane *lane = &media->lanes[i];
        ClvShardTotals totals;

        clv_shard_totals(lane->shard, &totals);
        alive = alive && totals.ticks != lane->seen_ticks;
        lane->seen_ticks = totals.ticks;
    }
    return alive;
}

void
clv_media_totals(ClvMedia *media, ClvMediaTotals *out)
{
    *out = packet_totals(media);
    out->legs = g_hash_table_size(media->legs);
    out->conferences = g_hash_table_size(media->rooms);
    out->ticks = G_MAXUINT64;
    for (guint i = 0; i < media->n_lanes; i++) {
        ClvShardTotals totals;

        clv_shard_totals(media->lanes[i].shard, &totals);
        out->ticks = MIN(out->ticks, totals.ticks);
        out->ticks_late += totals.ticks_late;
        out->busy_ns += totals.busy_ns;
        out->tick_worst_us = MAX(out->tick_worst_us, totals.worst_us);
        out->tick_mean_us = MAX(out->tick_mean_us, totals.mean_us);
    }
}
