/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp-answer.c - the answer to an offer (RFC 3264), m-line by m-line */
#include "config.h"

#include "sip/sdp-private.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

/* Protocols in which a media stream is secured; the ones of DTLS are secured but not served yet. */
static const struct {
    const char *proto;
    gboolean served;
} secured_protos[] = {
    {"RTP/SAVP", TRUE},
    {"RTP/SAVPF", TRUE},
    {"UDP/TLS/RTP/SAVP", FALSE},
    {"UDP/TLS/RTP/SAVPF", FALSE},
};

/* The clock and channels without which a name does not mean the codec that we have. */
static const struct {
    const char *name;
    guint32 rate_hz;
    guint8 channels;
} known_codecs[] = {
    {"PCMU", 8000, 1},
    {"PCMA", 8000, 1},
    {"G722", 8000, 1},
    {"opus", 48000, 2},
};

gboolean
clv_sdp_is_secured(const char *proto)
{
    for (gsize i = 0; i < G_N_ELEMENTS(secured_protos); i++) {
        if (strcmp(proto, secured_protos[i].proto) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_served(const char *proto)
{
    for (gsize i = 0; i < G_N_ELEMENTS(secured_protos); i++) {
        if (strcmp(proto, secured_protos[i].proto) == 0)
            return secured_protos[i].served;
    }
    return FALSE;
}

static gboolean
is_ours(const ClvCodec *codec, const char *const *names)
{
    gboolean named = FALSE;

    for (; *names != NULL && !named; names++)
        named = g_ascii_strcasecmp(codec->name, *names) == 0;
    if (!named)
        return FALSE;

    for (gsize i = 0; i < G_N_ELEMENTS(known_codecs); i++) {
        if (g_ascii_strcasecmp(codec->name, known_codecs[i].name) == 0)
            return codec->rate_hz == known_codecs[i].rate_hz &&
                   codec->channels == known_codecs[i].channels;
    }
    return TRUE;
}

/* Can we send there at all: a literal of our own family, and no group? */
static gboolean
is_reachable(const char *host, const char *local_host)
{
    g_autoptr(GInetAddress) theirs = g_inet_address_new_from_string(host);
    g_autoptr(GInetAddress) ours = g_inet_address_new_from_string(local_host);

    if (theirs == NULL || g_inet_address_get_is_multicast(theirs))
        return FALSE;
    return ours == NULL || g_inet_address_get_family(ours) == g_inet_address_get_family(theirs);
}

static const ClvCodec *
common_codec(const ClvSdpMedia *m, const ClvSdpLocal *local)
{
    for (guint i = 0; i < m->n_codecs; i++) {
        if (is_ours(&m->codecs[i], local->codecs))
            return &m->codecs[i];
    }
    return NULL;
}

static gint
dtmf_pt(const ClvSdpMedia *m, guint32 rate_hz)
{
    for (guint i = 0; i < m->n_codecs; i++) {
        if (g_ascii_strcasecmp(m->codecs[i].name, "telephone-event") == 0 &&
            m->codecs[i].rate_hz == rate_hz)
            return m->codecs[i].pt;
    }
    return -1;
}

/* What they send we receive. */
static ClvDirection
mirrored(ClvDirection theirs)
{
    return ((theirs & CLV_DIR_SENDONLY) != 0 ? CLV_DIR_RECVONLY : CLV_DIR_INACTIVE) |
           ((theirs & CLV_DIR_RECVONLY) != 0 ? CLV_DIR_SENDONLY : CLV_DIR_INACTIVE);
}

gboolean
clv_sdp_is_keyed(const ClvSdp *sdp, guint media_index)
{
    const ClvSdpMedia *m = &sdp->media[media_index];

    return sdp->n_keymgmt > 0 || m->n_keymgmt > 0 || m->n_crypto > 0 || m->fingerprint != NULL;
}

/* A line that can be keyed comes before one that cannot; a refresh may leave all keys away. */
static gboolean
comes_before(const ClvSdp *offer, guint later, const ClvSdpChoice *chosen)
{
    return chosen->media_index == G_MAXUINT ||
           (clv_sdp_is_keyed(offer, later) && !clv_sdp_is_keyed(offer, chosen->media_index));
}

ClvCode
clv_sdp_choose(const ClvSdp *offer, const ClvSdpLocal *local, ClvSdpChoice *out)
{
    gboolean any_live = FALSE, any_clear = FALSE, any_secured = FALSE;
    ClvSdpChoice chosen = {.media_index = G_MAXUINT};

    g_return_val_if_fail(offer != NULL && local != NULL && out != NULL, CLV_CODE_INTERNAL);

    for (guint i = 0; i < offer->n_media; i++) {
        const ClvSdpMedia *m = &offer->media[i];
        const ClvCodec *codec;

        if (m->port == 0)
            continue;
        any_live = TRUE;
        if (strcmp(m->type, "audio") != 0)
            continue;
        if (!clv_sdp_is_secured(m->proto)) {
            any_clear = TRUE;
            continue;
        }
        any_secured = TRUE;
        codec = common_codec(m, local);
        if (codec == NULL || !is_served(m->proto) || !is_reachable(m->rtp.host, local->host) ||
            !comes_before(offer, i, &chosen))
            continue;

        chosen = (ClvSdpChoice){.media_index = i, .codec = *codec};
        chosen.dtmf_pt = dtmf_pt(m, codec->rate_hz);
        chosen.direction = mirrored(m->direction);
    }
    if (chosen.media_index != G_MAXUINT) {
        *out = chosen;
        return CLV_CODE_OK;
    }
    if (!any_live) {
        *out = (ClvSdpChoice){.media_index = G_MAXUINT, .dtmf_pt = -1, .no_media = TRUE};
        return CLV_CODE_OK;
    }
    return any_clear && !any_secured ? CLV_CODE_UNSECURED : CLV_CODE_NO_COMMON_MEDIA;
}

static void
answer_refused(ClvSdpMedia *m, const ClvSdpMedia *offered)
{
    memcpy(m->formats, offered->formats, sizeof(m->formats));
    m->direction = CLV_DIR_SENDRECV; /* means nothing at port 0, and is not written */
}

static void
answer_chosen(ClvSdpMedia *m, const ClvSdpMedia *offered, const ClvSdpChoice *choice,
              guint16 rtp_port, guint16 rtcp_port)
{
    m->port = rtp_port;
    m->rtp.port = rtp_port;
    m->rtcp_mux = offered->rtcp_mux;
    m->rtcp.port = m->rtcp_mux ? rtp_port : rtcp_port;
    m->direction = choice->direction;
    m->ptime_ms = 20;
    m->qos = clv_sdp_qos_answer(&offered->qos);
    m->codecs[m->n_codecs++] = choice->codec;
    if (choice->dtmf_pt >= 0) {
        ClvCodec *dtmf = &m->codecs[m->n_codecs++];

        *dtmf = (ClvCodec){(guint8)choice->dtmf_pt, "telephone-event", choice->codec.rate_hz, 1,
                           "0-15"};
        snprintf(m->formats, sizeof(m->formats), "%u %d", choice->codec.pt, choice->dtmf_pt);
    } else {
        snprintf(m->formats, sizeof(m->formats), "%u", choice->codec.pt);
    }
}

ClvSdp *
clv_sdp_answer(const ClvSdp *offer, const ClvSdpLocal *local, const ClvSdpChoice *choice,
               guint16 rtp_port, guint16 rtcp_port, const char *key_line, gboolean key_is_crypto,
               gboolean key_at_session)
{
    ClvSdp *answer;

    g_return_val_if_fail(offer != NULL && local != NULL && choice != NULL, NULL);

    answer = g_new0(ClvSdp, 1);
    g_strlcpy(answer->origin_user, "-", sizeof(answer->origin_user));
    answer->session_id = local->session_id;
    answer->session_version = local->version;
    g_strlcpy(answer->origin.host, local->host, sizeof(answer->origin.host));
    answer->n_media = offer->n_media;

    for (guint i = 0; i < offer->n_media; i++) {
        ClvSdpMedia *m = &answer->media[i];
        const ClvSdpMedia *offered = &offer->media[i];

        memcpy(m->type, offered->type, sizeof(m->type));
        memcpy(m->proto, offered->proto, sizeof(m->proto));
        g_strlcpy(m->rtp.host, local->host, sizeof(m->rtp.host));
        g_strlcpy(m->rtcp.host, local->host, sizeof(m->rtcp.host));
        m->mid = g_strdup(offered->mid);
        m->label = g_strdup_printf("%u", i + 1);
        if (i == choice->media_index)
            answer_chosen(m, offered, choice, rtp_port, rtcp_port);
        else
            answer_refused(m, offered);
        if (i == choice->media_index && key_line != NULL && key_is_crypto)
            m->crypto[m->n_crypto++] = g_strdup(key_line);
        else if (i == choice->media_index && key_line != NULL && !key_at_session)
            m->keymgmt[m->n_keymgmt++] = g_strdup(key_line);
    }
    if (key_line != NULL && !key_is_crypto && key_at_session)
        answer->keymgmt[answer->n_keymgmt++] = g_strdup(key_line);

    return answer;
}
