/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp-write.c - ClvSdp to text, in the order that RFC 4566 section 5 wants
 *
 * The text may hold keys, and a growing buffer would leave copies of them in freed memory: so the
 * text is written twice, first to be measured, then into one block of the right size.
 */
#include "config.h"

#include "sip/sdp-private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Writer {
    char *text; /* (nullable) NULL: measure only */
    gsize size;
    gsize len;
} Writer;

static void G_GNUC_PRINTF(2, 3) put(Writer *w, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(w->text != NULL ? w->text + w->len : NULL, w->text != NULL ? w->size - w->len : 0,
                  format, args);
    va_end(args);
    w->len += n > 0 ? (gsize)n : 0;
}

static const char *
family(const char *host)
{
    return strchr(host, ':') != NULL ? "IP6" : "IP4";
}

/* The address of all m-lines when there is one, so that c= stands once, where old readers look. */
static const char *
common_host(const ClvSdp *sdp)
{
    if (sdp->n_media == 0)
        return sdp->origin.host;
    for (guint i = 0; i < sdp->n_media; i++) {
        if (strcmp(sdp->media[i].rtp.host, sdp->media[0].rtp.host) != 0)
            return "";
    }
    return sdp->media[0].rtp.host;
}

static void
put_codec(Writer *w, const ClvCodec *codec)
{
    put(w, "a=rtpmap:%u %s/%u", codec->pt, codec->name, codec->rate_hz);
    if (codec->channels > 1)
        put(w, "/%u", codec->channels);
    put(w, "\r\n");
    if (codec->fmtp[0] != '\0')
        put(w, "a=fmtp:%u %s\r\n", codec->pt, codec->fmtp);
}

static void
put_m(Writer *w, const ClvSdpMedia *m)
{
    put(w, "m=%s %u %s", m->type, m->port, m->proto);
    if (m->formats[0] != '\0') {
        put(w, " %s", m->formats);
    } else if (m->n_codecs > 0) {
        for (guint i = 0; i < m->n_codecs; i++)
            put(w, " %u", m->codecs[i].pt);
    } else {
        put(w, clv_sdp_is_rtp(m->proto) ? " 0" : " *");
    }
    put(w, "\r\n");
}

static void
put_rtcp(Writer *w, const ClvSdpMedia *m)
{
    gboolean elsewhere = strcmp(m->rtcp.host, m->rtp.host) != 0 && m->rtcp.host[0] != '\0';

    if (m->rtcp.port != clv_sdp_default_rtcp(m->port) || elsewhere) {
        put(w, "a=rtcp:%u", m->rtcp.port);
        if (elsewhere)
            put(w, " IN %s %s", family(m->rtcp.host), m->rtcp.host);
        put(w, "\r\n");
    }
    if (m->rtcp_mux)
        put(w, "a=rtcp-mux\r\n");
}

static void
put_optional(Writer *w, const char *name, const char *value)
{
    if (value != NULL)
        put(w, "a=%s:%s\r\n", name, value);
}

static void
put_keys(Writer *w, const char *name, char *const *keys, guint n)
{
    for (guint i = 0; i < n; i++)
        put_optional(w, name, keys[i]);
}

static void
put_media(Writer *w, const ClvSdpMedia *m, gboolean own_c)
{
    g_autofree char *qos = clv_sdp_qos_format(&m->qos);

    put_m(w, m);
    if (own_c && m->rtp.host[0] != '\0')
        put(w, "c=IN %s %s\r\n", family(m->rtp.host), m->rtp.host);
    for (guint i = 0; i < m->n_codecs; i++)
        put_codec(w, &m->codecs[i]);
    if (m->ptime_ms > 0)
        put(w, "a=ptime:%u\r\n", m->ptime_ms);
    put_optional(w, "mid", m->mid);
    put_optional(w, "label", m->label);
    put_rtcp(w, m);
    put_keys(w, "key-mgmt", m->keymgmt, m->n_keymgmt);
    put_keys(w, "crypto", m->crypto, m->n_crypto);
    put_optional(w, "fingerprint", m->fingerprint);
    put_optional(w, "setup", m->setup);
    put(w, "%s", qos);
    if (m->direction != CLV_DIR_SENDRECV || (m->port != 0 && clv_sdp_is_rtp(m->proto)))
        put(w, "a=%s\r\n", clv_sdp_direction_name(m->direction));
}

static void
put_sdp(Writer *w, const ClvSdp *sdp)
{
    const char *host = common_host(sdp);

    put(w, "v=0\r\no=%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " IN %s %s\r\ns=-\r\n",
        sdp->origin_user[0] != '\0' ? sdp->origin_user : "-", sdp->session_id, sdp->session_version,
        family(sdp->origin.host), sdp->origin.host);
    if (host[0] != '\0')
        put(w, "c=IN %s %s\r\n", family(host), host);
    put(w, "t=0 0\r\n");
    put_keys(w, "key-mgmt", sdp->keymgmt, sdp->n_keymgmt);
    for (guint i = 0; i < sdp->n_media; i++)
        put_media(w, &sdp->media[i], host[0] == '\0');
}

char *
clv_sdp_format(const ClvSdp *sdp)
{
    Writer measure = {NULL, 0, 0};
    Writer w = {NULL, 0, 0};

    g_return_val_if_fail(sdp != NULL, NULL);

    put_sdp(&measure, sdp);
    w.size = measure.len + 1;
    w.text = g_malloc(w.size);
    put_sdp(&w, sdp);
    return w.text;
}
