/* SPDX-License-Identifier: Apache-2.0 */
/* sip/sdp.h - SDP text to ClvSdp and back, and the answer to an offer (RFC 4566, 3264)
 *
 * Our own bounded reader and writer: untrusted text never reaches sdp_parse(). Pure.
 */
#pragma once

#include "conference/vocabulary.h"

#define CLV_SDP_ERROR (clv_sdp_error_quark())
GQuark clv_sdp_error_quark(void);
#define CLV_SDP_MAX_BYTES 65535

/* Returns: (transfer full) (nullable). At most 65535 octets, 1000 lines, 16 m-lines; error says
 * line. */
ClvSdp *clv_sdp_parse(const char *text, gsize len, GError **error);
void clv_sdp_free(ClvSdp *sdp); /* cleanses; NULL allowed */
ClvSdp *clv_sdp_copy(const ClvSdp *sdp);
/* Writes a whole SDP (CRLF lines). The text may hold keys: free with clv_secret_free_string(). */
char *clv_sdp_format(const ClvSdp *sdp);

/* RTP/SAVP[F] and UDP/TLS/RTP/SAVP[F]: is a stream of this protocol secured? */
gboolean clv_sdp_is_secured(const char *proto);

/* ---- preconditions (sdp-qos.c) ---- */
/* Must the writer of this offer still reserve something before we alert anybody? */
gboolean clv_sdp_qos_waits(const ClvSdp *offer);
/* Is something mandatory that we cannot do? Then 580. */
gboolean clv_sdp_qos_is_foreign(const ClvSdp *offer);
/* Is anything mandatory at all? */
gboolean clv_sdp_qos_is_mandatory(const ClvSdp *offer);

/* What we can do, for answering. */
typedef struct ClvSdpLocal {
    const char *host; /* address for o= and c= */
    guint64 session_id;
    guint64 version;
    const char *const *codecs; /* encoding names in order of preference, NULL-terminated */
} ClvSdpLocal;

typedef struct ClvSdpChoice {
    guint media_index; /* the m-line that is used; G_MAXUINT: none */
    ClvCodec codec;
    gint dtmf_pt;           /* -1: none */
    ClvDirection direction; /* ours */
    gboolean no_media;      /* the offer has no live m-line at all: creation only (5.1 variant B) */
} ClvSdpChoice;

/* Does the line, or the whole description, bring anything to make keys of? */
gboolean clv_sdp_is_keyed(const ClvSdp *sdp, guint media_index);
/* Picks the first live secured audio m-line with a codec in common (RTP/SAVP, RTP/SAVPF); one that
 * brings keys, if there is one. Codes: OK, UNSECURED, NO_COMMON_MEDIA. The offerer's codec order wins. */
ClvCode clv_sdp_choose(const ClvSdp *offer, const ClvSdpLocal *local, ClvSdpChoice *out);

/**
 * clv_sdp_answer: the answer, m-line by m-line; all but the chosen one get port 0.
 * @rtp_port, @rtcp_port: ours; @key_line: (nullable) value of a=key-mgmt or a=crypto
 *
 * Returns: (transfer full): free with clv_sdp_free()
 */
ClvSdp *clv_sdp_answer(const ClvSdp *offer, const ClvSdpLocal *local, const ClvSdpChoice *choice,
                       guint16 rtp_port, guint16 rtcp_port, const char *key_line,
                       gboolean key_is_crypto, gboolean key_at_session);
