/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp.c - reading SDP that nobody vouches for
 *
 * Lines are taken one at a time from the text as slices; a table maps each letter, and a second one
 * each attribute, to a short function. Nothing here searches past its slice, and each turn of every
 * loop consumes at least one octet.
 */
#include "config.h"

#include "sip/sdp-private.h"

#include <string.h>

#include "base/secret.h"

#define MAX_LINES 1000

G_DEFINE_QUARK(clv - sdp - error - quark, clv_sdp_error)

/* ---- slices ------------------------------------------------------------------------------ */

typedef struct Slice {
    const char *p;
    gsize n;
} Slice;

static gboolean
is_token_char(char c)
{
    /* RFC 4566 section 9, token-char */
    return g_ascii_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`{|}~", c) != NULL);
}

static gboolean
is_host_char(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr(".:-_", c) != NULL);
}

static gboolean
all_of(Slice s, gboolean (*is)(char c))
{
    for (gsize i = 0; i < s.n; i++) {
        if (!is(s.p[i]))
            return FALSE;
    }
    return s.n > 0;
}

static gboolean
equals(Slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* Cuts off and returns everything before the first sep; the separator is eaten. */
static Slice
cut(Slice *s, char sep)
{
    const char *found = s->n > 0 ? memchr(s->p, sep, s->n) : NULL;
    Slice head = {s->p, found != NULL ? (gsize)(found - s->p) : s->n};
    gsize eaten = head.n + (found != NULL ? 1 : 0);

    s->p += eaten;
    s->n -= eaten;
    return head;
}

static void
skip_blanks(Slice *s)
{
    while (s->n > 0 && (*s->p == ' ' || *s->p == '\t')) {
        s->p++;
        s->n--;
    }
}

static Slice
word(Slice *s)
{
    Slice head;

    skip_blanks(s);
    head = cut(s, ' ');
    skip_blanks(s);
    return head;
}

/* Digits alone; numbers beyond max saturate when saturate is set, else they are refused. */
static gboolean
number(Slice s, guint64 max, gboolean saturate, guint64 *out)
{
    guint64 value = 0;

    for (gsize i = 0; i < s.n; i++) {
        guint digit = (guint)(s.p[i] - '0');

        if (!g_ascii_isdigit(s.p[i]))
            return FALSE;
        if (value > (max - digit) / 10) {
            if (!saturate)
                return FALSE;
            value = max;
            continue;
        }
        value = value * 10 + digit;
    }
    if (s.n > 0)
        *out = value;
    return s.n > 0;
}

static gboolean
copy_to(char *out, gsize size, Slice s)
{
    if (s.n >= size)
        return FALSE;

    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return TRUE;
}

/* ---- reader ------------------------------------------------------------------------------ */

typedef struct Level { /* what the lines of one level said, before the defaults are known */
    char host[64];     /* of c=; "" none */
    gboolean has_direction;
    ClvDirection direction;
    gboolean has_rtcp;
    char rtcp_host[64];
    guint16 rtcp_port;
    char *fingerprint, *setup;    /* of the session, until the m-lines take copies */
    guint formats[64], n_formats; /* RTP payload types in the order of the m-line: 127 octets */
    ClvCodec rtpmap[CLV_SDP_MAX_CODECS];
    guint n_rtpmaps;
} Level;

typedef struct Reader {
    ClvSdp *sdp;
    ClvSdpMedia *media; /* (nullable) NULL: session level */
    Level session, level;
    guint line;
    gboolean has_origin;
    GError **error;
} Reader;

static gboolean G_GNUC_PRINTF(2, 3) bad(Reader *r, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(r->error, CLV_SDP_ERROR, 0, "SDP line %u: %s", r->line, what);
    return FALSE;
}

/* Static payload types of RFC 3551 that telephones speak. */
static const ClvCodec static_codecs[] = {
    {0, "PCMU", 8000, 1, ""},   {3, "GSM", 8000, 1, ""},    {4, "G723", 8000, 1, ""},
    {5, "DVI4", 8000, 1, ""},   {6, "DVI4", 16000, 1, ""},  {7, "LPC", 8000, 1, ""},
    {8, "PCMA", 8000, 1, ""},   {9, "G722", 8000, 1, ""},   {10, "L16", 44100, 2, ""},
    {11, "L16", 44100, 1, ""},  {12, "QCELP", 8000, 1, ""}, {13, "CN", 8000, 1, ""},
    {14, "MPA", 90000, 1, ""},  {15, "G728", 8000, 1, ""},  {18, "G729", 8000, 1, ""},
    {26, "JPEG", 90000, 1, ""}, {31, "H261", 90000, 1, ""}, {32, "MPV", 90000, 1, ""},
    {33, "MP2T", 90000, 1, ""}, {34, "H263", 90000, 1, ""},
};

static gboolean
is_rtp(const char *proto)
{
    return g_str_has_prefix(proto, "RTP/") || strstr(proto, "/RTP/") != NULL;
}

static gboolean
is_nowhere(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* The codecs in the order of the m-line: a=rtpmap, else the static type, else not known to us. */
static void
settle_codecs(Reader *r)
{
    ClvSdpMedia *m = r->media;
    const ClvCodec *mapped = r->level.rtpmap;
    guint n_mapped = r->level.n_rtpmaps;

    for (guint i = 0; i < r->level.n_formats && m->n_codecs < CLV_SDP_MAX_CODECS; i++) {
        const ClvCodec *found = NULL;

        for (guint k = 0; k < n_mapped && found == NULL; k++) {
            if (mapped[k].pt == r->level.formats[i] && mapped[k].name[0] != '\0')
                found = &mapped[k];
        }
        for (guint k = 0; k < G_N_ELEMENTS(static_codecs) && found == NULL; k++) {
            if (static_codecs[k].pt == r->level.formats[i])
                found = &static_codecs[k];
        }
        if (found == NULL)
            continue;
        m->codecs[m->n_codecs] = *found;
        for (guint k = 0; k < n_mapped; k++) { /* a=fmtp may stand without a=rtpmap */
            if (mapped[k].pt == r->level.formats[i])
                memcpy(m->codecs[m->n_codecs].fmtp, mapped[k].fmtp, sizeof(mapped[k].fmtp));
        }
        m->n_codecs++;
    }
}

/* Everything that needs both levels is settled when the next m-line or the end comes. */
static gboolean
settle_media(Reader *r)
{
    ClvSdpMedia *m = r->media;
    const char *host = r->level.host[0] != '\0' ? r->level.host : r->session.host;

    if (m == NULL)
        return TRUE;
    if (host[0] == '\0' && m->port != 0)
        return bad(r, "no c= line for the media above");

    g_strlcpy(m->rtp.host, host, sizeof(m->rtp.host));
    m->rtp.port = m->port;
    m->rtcp.port = r->level.has_rtcp ? r->level.rtcp_port : clv_sdp_default_rtcp(m->port);
    g_strlcpy(m->rtcp.host, r->level.rtcp_host[0] != '\0' ? r->level.rtcp_host : host,
              sizeof(m->rtcp.host));
    m->direction = r->level.has_direction     ? r->level.direction
                   : r->session.has_direction ? r->session.direction
                                              : CLV_DIR_SENDRECV;
    if (is_nowhere(host))
        m->direction = CLV_DIR_INACTIVE;
    if (m->fingerprint == NULL)
        m->fingerprint = g_strdup(r->session.fingerprint);
    if (m->setup == NULL)
        m->setup = g_strdup(r->session.setup);
    settle_codecs(r);
    return TRUE;
}

/* o=<user> <id> <version> IN IP4|IP6 <address> */
static gboolean
read_origin(Reader *r, Slice s)
{
    Slice user = word(&s), id = word(&s), version = word(&s);
    Slice net = word(&s), type = word(&s), host = word(&s);

    if (r->media != NULL || r->has_origin)
        return bad(r, "second or misplaced o= line");
    if (user.n == 0 || !number(id, G_MAXUINT64, TRUE, &r->sdp->session_id) ||
        !number(version, G_MAXUINT64, TRUE, &r->sdp->session_version))
        return bad(r, "o= needs a user name and two numbers");
    if (!equals(net, "IN") || !(equals(type, "IP4") || equals(type, "IP6")) ||
        !all_of(host, is_host_char) ||
        !copy_to(r->sdp->origin.host, sizeof(r->sdp->origin.host), host))
        return bad(r, "o= needs an address: IN IP4 or IP6 and a host");

    user.n = MIN(user.n, sizeof(r->sdp->origin_user) - 1);
    copy_to(r->sdp->origin_user, sizeof(r->sdp->origin_user), user);
    r->has_origin = TRUE;
    return TRUE;
}

/* IN IP4|IP6 <address>[/ttl] */
static gboolean
read_connection(Slice s, char out[64])
{
    Slice net = word(&s), type = word(&s), host = word(&s);
    Slice address = cut(&host, '/');

    return equals(net, "IN") && (equals(type, "IP4") || equals(type, "IP6")) &&
           all_of(address, is_host_char) && copy_to(out, 64, address);
}

static gboolean
read_c(Reader *r, Slice s)
{
    char host[64];

    if (!read_connection(s, host))
        return bad(r, "c= needs IN IP4 or IN IP6 and an address");
    if (r->level.host[0] == '\0')
        g_strlcpy(r->level.host, host, sizeof(host));
    return TRUE;
}

static gboolean
read_formats(Reader *r, Slice s)
{
    ClvSdpMedia *m = r->media;
    gsize used = 0;
    gboolean rtp = is_rtp(m->proto);

    if (s.n == 0)
        return bad(r, "m= line without a format");

    while (s.n > 0) {
        Slice format = word(&s);
        guint64 pt;

        if (!all_of(format, is_token_char))
            return bad(r, "m= line with a format that is no token");
        if (rtp && !number(format, 127, FALSE, &pt))
            return bad(r, "RTP payload types are numbers from 0 to 127");
        if (used + format.n + 1 >= sizeof(m->formats))
            continue; /* the least liked come last */
        if (used > 0)
            m->formats[used++] = ' ';
        memcpy(m->formats + used, format.p, format.n);
        used += format.n;
        m->formats[used] = '\0';
        if (rtp)
            r->level.formats[r->level.n_formats++] = (guint)pt;
    }
    if (used == 0)
        return bad(r, "m= line with a format of more than 127 octets");
    return TRUE;
}

/* m=<type> <port>[/<count>] <proto> <formats> */
static gboolean
read_m(Reader *r, Slice s)
{
    Slice type = word(&s), ports = word(&s), proto = word(&s);
    Slice port = cut(&ports, '/');
    Slice rest = proto;
    guint64 value, count;

    if (!settle_media(r))
        return FALSE;
    if (r->media == NULL)
        r->session = r->level;
    if (r->sdp->n_media == CLV_SDP_MAX_MEDIA)
        return bad(r, "more than %d m= lines", CLV_SDP_MAX_MEDIA);

    memset(&r->level, 0, sizeof(r->level));
    r->media = &r->sdp->media[r->sdp->n_media++];
    r->media->direction = CLV_DIR_SENDRECV;

    if (!all_of(type, is_token_char) || !copy_to(r->media->type, sizeof(r->media->type), type))
        return bad(r, "m= line without a media type");
    if (!number(port, 65535, FALSE, &value) ||
        (ports.n > 0 && !number(ports, 65535, FALSE, &count)))
        return bad(r, "m= line without a port number");
    do {
        if (!all_of(cut(&rest, '/'), is_token_char))
            return bad(r, "m= line with a protocol that is no token");
    } while (rest.n > 0);
    if (proto.p[proto.n - 1] == '/' || !copy_to(r->media->proto, sizeof(r->media->proto), proto))
        return bad(r, "m= line with a protocol that is no token or too long");

    r->media->port = (guint16)value;
    return read_formats(r, s);
}

/* ---- attributes -------------------------------------------------------------------------- */

static ClvCodec *
mapping(Reader *r, guint8 pt)
{
    for (guint i = 0; i < r->level.n_rtpmaps; i++) {
        if (r->level.rtpmap[i].pt == pt)
            return &r->level.rtpmap[i];
    }
    if (r->level.n_rtpmaps == CLV_SDP_MAX_CODECS)
        return NULL;

    r->level.rtpmap[r->level.n_rtpmaps].pt = pt;
    return &r->level.rtpmap[r->level.n_rtpmaps++];
}

/* Mappings of types that the m-line does not list take no room. */
static ClvCodec *
listed_mapping(Reader *r, Slice s)
{
    guint64 pt;

    if (!number(s, 127, FALSE, &pt))
        return NULL;
    for (guint i = 0; i < r->level.n_formats; i++) {
        if (r->level.formats[i] == pt)
            return mapping(r, (guint8)pt);
    }
    return NULL;
}

/* rtpmap:<pt> <name>/<clock>[/<channels>] */
static gboolean
read_rtpmap(Reader *r, Slice s)
{
    Slice pt = word(&s), name = cut(&s, '/'), clock = cut(&s, '/'), channels = s;
    ClvCodec *codec = listed_mapping(r, pt);
    guint64 rate, count = 1;

    while (channels.n > 0 && channels.p[channels.n - 1] == ' ')
        channels.n--;
    while (clock.n > 0 && clock.p[clock.n - 1] == ' ')
        clock.n--;
    if (codec == NULL)
        return TRUE;
    if (!all_of(name, is_token_char) || name.n >= sizeof(codec->name) ||
        !number(clock, G_MAXUINT32, FALSE, &rate) || rate == 0)
        return bad(r, "a=rtpmap needs an encoding name and a clock rate");
    if (channels.n > 0 && (!number(channels, 255, FALSE, &count) || count == 0))
        return bad(r, "a=rtpmap with a bad number of channels");
    if (codec->name[0] != '\0')
        return TRUE;

    copy_to(codec->name, sizeof(codec->name), name);
    codec->rate_hz = (guint32)rate;
    codec->channels = (guint8)count;
    return TRUE;
}

static gboolean
read_fmtp(Reader *r, Slice s)
{
    Slice pt = word(&s);
    ClvCodec *codec = listed_mapping(r, pt);

    if (codec != NULL && codec->fmtp[0] == '\0')
        copy_to(codec->fmtp, sizeof(codec->fmtp), s);
    return TRUE;
}

static gboolean
read_ptime(Reader *r, Slice s)
{
    guint64 value;

    if (r->media != NULL && number(word(&s), 1000, FALSE, &value))
        r->media->ptime_ms = (guint)value;
    return TRUE;
}

/* rtcp:<port> [IN IP4 <address>], RFC 3605 */
static gboolean
read_rtcp(Reader *r, Slice s)
{
    guint64 port;

    if (!number(word(&s), 65535, FALSE, &port))
        return bad(r, "a=rtcp without a port number");
    if (s.n > 0 && !read_connection(s, r->level.rtcp_host))
        return bad(r, "a=rtcp with a bad address");

    r->level.has_rtcp = TRUE;
    r->level.rtcp_port = (guint16)port;
    return TRUE;
}

static gboolean
read_rtcp_mux(Reader *r, Slice s)
{
    if (r->media != NULL)
        r->media->rtcp_mux = TRUE;
    return TRUE;
}

/* key-mgmt: mikey <base64>, RFC 4567 section 3; kept as "mikey <base64>" with one blank */
static gboolean
read_keymgmt(Reader *r, Slice s)
{
    char **lines = r->media != NULL ? r->media->keymgmt : r->sdp->keymgmt;
    guint *n = r->media != NULL ? &r->media->n_keymgmt : &r->sdp->n_keymgmt;
    Slice protocol = word(&s), data = word(&s);
    char *line;

    if (!all_of(protocol, is_token_char) || data.n == 0 || s.n > 0)
        return bad(r, "a=key-mgmt needs a protocol and its data");
    if (*n == CLV_SDP_MAX_KEYLINES)
        return bad(r, "more than %d a=key-mgmt lines", CLV_SDP_MAX_KEYLINES);

    line = g_malloc(protocol.n + 1 + data.n + 1);
    memcpy(line, protocol.p, protocol.n);
    line[protocol.n] = ' ';
    memcpy(line + protocol.n + 1, data.p, data.n);
    line[protocol.n + 1 + data.n] = '\0';
    lines[(*n)++] = line;
    return TRUE;
}

/* Kept as written; RFC 4568 is read by the scheme itself. What is beyond the limit is least liked.
 */
static gboolean
read_crypto(Reader *r, Slice s)
{
    skip_blanks(&s);
    if (r->media != NULL && s.n > 0 && r->media->n_crypto < CLV_SDP_MAX_KEYLINES)
        r->media->crypto[r->media->n_crypto++] = g_strndup(s.p, s.n);
    return TRUE;
}

static void
keep_first(char **out, Slice s)
{
    skip_blanks(&s);
    if (*out == NULL && s.n > 0 && s.n < 256)
        *out = g_strndup(s.p, s.n);
}

static gboolean
read_fingerprint(Reader *r, Slice s)
{
    keep_first(r->media != NULL ? &r->media->fingerprint : &r->level.fingerprint, s);
    return TRUE;
}

static gboolean
read_setup(Reader *r, Slice s)
{
    keep_first(r->media != NULL ? &r->media->setup : &r->level.setup, s);
    return TRUE;
}

static gboolean
read_label(Reader *r, Slice s)
{
    Slice label = word(&s);

    if (r->media != NULL && all_of(label, is_token_char))
        keep_first(&r->media->label, label);
    return TRUE;
}

static gboolean
read_mid(Reader *r, Slice s)
{
    Slice mid = word(&s);

    if (r->media != NULL && all_of(mid, is_token_char))
        keep_first(&r->media->mid, mid);
    return TRUE;
}

static gboolean
read_qos(Reader *r, const char *name, Slice s)
{
    g_autofree char *value = s.n < 128 ? g_strndup(s.p, s.n) : NULL;

    if (r->media != NULL && value != NULL)
        clv_sdp_qos_read(&r->media->qos, name, g_strstrip(value));
    return TRUE;
}

static gboolean
read_curr(Reader *r, Slice s)
{
    return read_qos(r, "curr", s);
}

static gboolean
read_des(Reader *r, Slice s)
{
    return read_qos(r, "des", s);
}

static gboolean
read_conf(Reader *r, Slice s)
{
    return read_qos(r, "conf", s);
}

static gboolean
read_pcfg(Reader *r, Slice s)
{
    r->sdp->capneg = TRUE;
    return TRUE;
}

static const struct {
    const char *name;
    ClvDirection direction;
} direction_names[] = {
    {"inactive", CLV_DIR_INACTIVE},
    {"sendonly", CLV_DIR_SENDONLY},
    {"recvonly", CLV_DIR_RECVONLY},
    {"sendrecv", CLV_DIR_SENDRECV},
};

static const struct {
    const char *name;
    gboolean (*read)(Reader *r, Slice value);
} attributes[] = {
    {"rtpmap", read_rtpmap},     {"fmtp", read_fmtp},
    {"ptime", read_ptime},       {"rtcp", read_rtcp},
    {"rtcp-mux", read_rtcp_mux}, {"key-mgmt", read_keymgmt},
    {"crypto", read_crypto},     {"fingerprint", read_fingerprint},
    {"setup", read_setup},       {"label", read_label},
    {"mid", read_mid},           {"curr", read_curr},
    {"des", read_des},           {"conf", read_conf},
    {"pcfg", read_pcfg},
};

static gboolean
read_a(Reader *r, Slice s)
{
    Slice name = cut(&s, ':');

    for (gsize i = 0; i < G_N_ELEMENTS(direction_names); i++) {
        if (equals(name, direction_names[i].name)) {
            r->level.has_direction = TRUE;
            r->level.direction = direction_names[i].direction;
            return TRUE;
        }
    }
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++) {
        if (equals(name, attributes[i].name))
            return attributes[i].read(r, s);
    }
    return all_of(name, is_token_char) ? TRUE : bad(r, "a= line with a name that is no token");
}

static gboolean
read_v(Reader *r, Slice s)
{
    return r->line == 1 && equals(s, "0") ? TRUE : bad(r, "v=0 belongs on the first line alone");
}

static gboolean
read_nothing(Reader *r, Slice s)
{
    return TRUE;
}

static const struct {
    char letter;
    gboolean (*read)(Reader *r, Slice value);
} lines[] = {
    {'v', read_v},       {'o', read_origin},  {'c', read_c},       {'m', read_m},
    {'a', read_a},       {'s', read_nothing}, {'i', read_nothing}, {'u', read_nothing},
    {'e', read_nothing}, {'p', read_nothing}, {'b', read_nothing}, {'t', read_nothing},
    {'r', read_nothing}, {'z', read_nothing}, {'k', read_nothing},
};

static gboolean
read_line(Reader *r, Slice s)
{
    if (s.n < 2 || s.p[1] != '=')
        return bad(r, "a line is a letter, '=' and a value");
    if (r->line == 1 && s.p[0] != 'v')
        return bad(r, "v=0 must come first");

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        if (s.p[0] == lines[i].letter)
            return lines[i].read(r, (Slice){s.p + 2, s.n - 2});
    }
    /* RFC 4566 section 5: a description with a letter that we do not know is not for us. */
    return bad(r, "unknown type of line");
}

static gboolean
is_clean(Slice s)
{
    for (gsize i = 0; i < s.n; i++) {
        if (s.p[i] == '\0' || s.p[i] == '\r')
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_lines(Reader *r, Slice text)
{
    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--; /* a blank line or two at the end is a habit of some */

    while (text.n > 0) {
        Slice line = cut(&text, '\n');

        if (++r->line > MAX_LINES)
            return bad(r, "more than %d lines", MAX_LINES);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!is_clean(line))
            return bad(r, "NUL or carriage return inside a line");
        if (!read_line(r, line))
            return FALSE;
    }
    if (!r->has_origin)
        return bad(r, "no o= line");
    return settle_media(r);
}

ClvSdp *
clv_sdp_parse(const char *text, gsize len, GError **error)
{
    Reader r = {.error = error};
    gboolean ok;

    g_return_val_if_fail(text != NULL || len == 0, NULL);

    if (len > CLV_SDP_MAX_BYTES) {
        g_set_error(error, CLV_SDP_ERROR, 0, "SDP of more than %d octets", CLV_SDP_MAX_BYTES);
        return NULL;
    }

    r.sdp = g_new0(ClvSdp, 1);
    ok = read_lines(&r, (Slice){text, len});
    if (r.media == NULL)
        r.session = r.level;
    g_free(r.session.fingerprint);
    g_free(r.session.setup);
    if (!ok)
        g_clear_pointer(&r.sdp, clv_sdp_free);

    return r.sdp;
}

/* ---- life -------------------------------------------------------------------------------- */

static void
free_keys(char **keys, guint n)
{
    for (guint i = 0; i < n; i++)
        clv_secret_free_string(keys[i]);
}

static void
copy_keys(char **keys, guint n)
{
    for (guint i = 0; i < n; i++)
        keys[i] = g_strdup(keys[i]);
}

void
clv_sdp_free(ClvSdp *sdp)
{
    if (sdp == NULL)
        return;

    free_keys(sdp->keymgmt, sdp->n_keymgmt);
    for (guint i = 0; i < sdp->n_media; i++) {
        ClvSdpMedia *m = &sdp->media[i];

        free_keys(m->keymgmt, m->n_keymgmt);
        free_keys(m->crypto, m->n_crypto);
        g_free(m->fingerprint);
        g_free(m->setup);
        g_free(m->label);
        g_free(m->mid);
    }
    g_free(sdp);
}

ClvSdp *
clv_sdp_copy(const ClvSdp *sdp)
{
    ClvSdp *copy;

    if (sdp == NULL)
        return NULL;

    copy = g_new(ClvSdp, 1);
    *copy = *sdp;
    copy_keys(copy->keymgmt, copy->n_keymgmt);
    for (guint i = 0; i < copy->n_media; i++) {
        ClvSdpMedia *m = &copy->media[i];

        copy_keys(m->keymgmt, m->n_keymgmt);
        copy_keys(m->crypto, m->n_crypto);
        m->fingerprint = g_strdup(m->fingerprint);
        m->setup = g_strdup(m->setup);
        m->label = g_strdup(m->label);
        m->mid = g_strdup(m->mid);
    }
    return copy;
}

guint16
clv_sdp_default_rtcp(guint16 rtp_port)
{
    return rtp_port == 0 || rtp_port == G_MAXUINT16 ? 0 : rtp_port + 1;
}

gboolean
clv_sdp_is_rtp(const char *proto)
{
    return is_rtp(proto);
}

const char *
clv_sdp_direction_name(ClvDirection direction)
{
    for (gsize i = 0; i < G_N_ELEMENTS(direction_names); i++) {
        if (direction_names[i].direction == direction)
            return direction_names[i].name;
    }
    return "inactive";
}
