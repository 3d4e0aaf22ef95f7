/* SPDX-License-Identifier: Apache-2.0 */
/* ua/offer.c - what we offer: SDP of our side */
#include "ua/session-private.h"

#include "base/secret.h"

#include <string.h>

#define DTMF_PT 101 /* as everybody else has it */

/* ---- SDP --------------------------------------------------------------------------------- */

static void
fill_codec(ClvCodec *codec, const char *name)
{
    codec->pt = strcmp(name, "PCMA") == 0 ? 8 : 0;
    g_strlcpy(codec->name, name, sizeof codec->name);
    codec->rate_hz = 8000;
    codec->channels = 1;
}

void
clv_ua_fill_origin(Session *s, ClvSdp *sdp)
{
    g_strlcpy(sdp->origin_user, "-", sizeof sdp->origin_user);
    sdp->session_id = s->sdp_id;
    sdp->session_version = ++s->sdp_version;
    g_strlcpy(sdp->origin.host, s->local_host, sizeof sdp->origin.host);
}

void
clv_ua_fill_media(Session *s, ClvSdpMedia *media)
{
    g_strlcpy(media->type, "audio", sizeof media->type);
    media->port = clv_ua_stream_port(s->stream);
    g_strlcpy(media->rtp.host, s->local_host, sizeof media->rtp.host);
    media->rtp.port = media->port;
    media->rtcp = media->rtp;
    media->rtcp.port++;
    media->ptime_ms = 20;
    media->direction = s->direction;
}

/* Telephone events are offered by who may want to press keys. */
static void
add_events(const Session *s, ClvSdpMedia *media, guint8 pt)
{
    if (!clv_ua_script_presses_keys(s) || media->n_codecs >= CLV_SDP_MAX_CODECS)
        return;
    media->codecs[media->n_codecs++] = (ClvCodec){
        .pt = pt, .name = "telephone-event", .rate_hz = 8000, .channels = 1, .fmtp = "0-15"};
}

/* Returns: (transfer full): clv_sdp_free() it */
ClvSdp *
clv_ua_make_offer(Session *s)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);

    clv_ua_fill_origin(s, sdp);
    if (s->options->no_media)
        return sdp;
    sdp->n_media = 1;
    clv_ua_fill_media(s, &sdp->media[0]);
    for (guint i = 0; i < s->options->codecs->len && i < CLV_SDP_MAX_CODECS; i++)
        fill_codec(&sdp->media[0].codecs[sdp->media[0].n_codecs++],
                   g_ptr_array_index(s->options->codecs, i));
    add_events(s, &sdp->media[0], DTMF_PT);
    return sdp;
}

/* What is ours is reserved once there was an answer; they stand at the only m-line, which is last.
 * Returns: (transfer full); @text is taken */
static char *
with_preconditions(const Session *s, char *text)
{
    char *more;

    if (!s->options->preconditions || s->stream == NULL || s->connected)
        return text;
    more = g_strdup_printf("%sa=curr:qos local %s\r\na=curr:qos remote %s\r\n"
                           "a=des:qos mandatory local sendrecv\r\n"
                           "a=des:qos mandatory remote sendrecv\r\n",
                           text, s->early_sdp != NULL ? "sendrecv" : "none",
                           s->early_sdp != NULL && strstr(s->early_sdp, "curr:qos local sendrecv")
                               ? "sendrecv"
                               : "none");
    clv_secret_free_string(text);
    return more;
}

/* Returns: (transfer full) (nullable): text of our offer; clv_secret_free_string() it */
char *
clv_ua_offer_text(Session *s, gsize *out_len, GError **error)
{
    ClvSdp *sdp;
    char *text = NULL;

    if (s->options->raw_sdp != NULL)
        return g_file_get_contents(s->options->raw_sdp, &text, out_len, error) ? text : NULL;
    sdp = clv_ua_make_offer(s);
    if (clv_ua_keys_offer(s->keys, sdp, s->stream != NULL ? clv_ua_stream_ssrc(s->stream) : 0,
                          error)) {
        text = with_preconditions(s, clv_sdp_format(sdp));
        *out_len = strlen(text);
    }
    clv_sdp_free(sdp);
    return text;
}

const ClvCodec *
clv_ua_find_codec(const Session *s, const ClvSdpMedia *media)
{
    for (guint i = 0; i < media->n_codecs; i++)
        for (guint k = 0; k < s->options->codecs->len; k++)
            if (g_ascii_strcasecmp(media->codecs[i].name,
                                   g_ptr_array_index(s->options->codecs, k)) == 0)
                return &media->codecs[i];
    return NULL;
}

/* Payload type of telephone events, -1: none */
int
clv_ua_event_pt(const ClvSdpMedia *media)
{
    for (guint i = 0; i < media->n_codecs; i++)
        if (g_ascii_strcasecmp(media->codecs[i].name, "telephone-event") == 0 &&
            media->codecs[i].rate_hz == 8000)
            return media->codecs[i].pt;
    return -1;
}
