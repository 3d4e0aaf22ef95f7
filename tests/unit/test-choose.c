/* SPDX-License-Identifier: Apache-2.0 */
/* Which scheme is taken, and why is none taken? */
#include "config.h"

#include <string.h>

#include "keymgmt/schemes.h"

static const ClvScheme tickets_first[] = {CLV_SCHEME_MIKEY_TICKET, CLV_SCHEME_SDES,
                                          CLV_SCHEME_NONE};
static const ClvScheme sdes_first[] = {CLV_SCHEME_SDES, CLV_SCHEME_MIKEY_TICKET, CLV_SCHEME_NONE};
static const ClvScheme tickets_alone[] = {CLV_SCHEME_MIKEY_TICKET, CLV_SCHEME_NONE};
static const ClvScheme sdes_alone[] = {CLV_SCHEME_SDES, CLV_SCHEME_NONE};
static const ClvScheme unknown_first[] = {CLV_SCHEME_DTLS_SRTP, CLV_SCHEME_OR_KMS, CLV_SCHEME_SDES,
                                          CLV_SCHEME_NONE};
static const ClvScheme nothing[] = {CLV_SCHEME_NONE};

/* One m-line with what is offered on it. */
typedef struct Offer {
    const char *proto;
    const char *session; /* (nullable) a=key-mgmt at session level */
    const char *media;   /* (nullable) a=key-mgmt at media level */
    const char *crypto;  /* (nullable) a=crypto */
} Offer;

static ClvSdp *
sdp_of(const Offer *offer)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);
    ClvSdpMedia *media = &sdp->media[0];

    sdp->n_media = 1;
    g_strlcpy(media->proto, offer->proto, sizeof(media->proto));
    media->port = 4000;
    if (offer->session != NULL)
        sdp->keymgmt[sdp->n_keymgmt++] = (char *)offer->session;
    if (offer->media != NULL)
        media->keymgmt[media->n_keymgmt++] = (char *)offer->media;
    if (offer->crypto != NULL)
        media->crypto[media->n_crypto++] = (char *)offer->crypto;
    return sdp;
}

/* What comes of @offer: the scheme's name, or "" with the code. */
static void
check(const Offer *offer, const ClvScheme *allowed, gboolean secured, const char *name,
      ClvCode code)
{
    g_autofree ClvSdp *sdp = sdp_of(offer);
    ClvCode found = CLV_N_CODES;
    const ClvKeymgmtOps *ops = clv_keymgmt_choose(sdp, 0, allowed, secured, &found);

    g_assert_cmpstr(ops != NULL ? ops->name : "", ==, name);
    g_assert_cmpint(found, ==, code);
}

static const Offer both = {"RTP/SAVP", "mikey AQ4=", NULL, "1 X inline:y"};
static const Offer ticket = {"RTP/SAVPF", "mikey AQ4=", NULL, NULL};
static const Offer crypto = {"RTP/SAVP", NULL, NULL, "1 X inline:y"};
static const Offer none = {"RTP/SAVP", NULL, NULL, NULL};

static void
test_policy_order(void)
{
    check(&both, tickets_first, TRUE, "mikey-ticket", CLV_CODE_OK);
    check(&both, sdes_first, TRUE, "sdes", CLV_CODE_OK);
    check(&both, unknown_first, TRUE, "sdes", CLV_CODE_OK);
    check(&ticket, sdes_first, TRUE, "mikey-ticket", CLV_CODE_OK);
    check(&crypto, tickets_first, TRUE, "sdes", CLV_CODE_OK);
}

/* SDES without secured signalling gives its keys to everybody on the way. */
static void
test_sdes_needs_secured_signalling(void)
{
    check(&both, sdes_first, FALSE, "mikey-ticket", CLV_CODE_OK);
    check(&crypto, sdes_first, FALSE, "", CLV_CODE_KEYMGMT_UNACCEPTABLE);
    check(&ticket, tickets_alone, FALSE, "mikey-ticket", CLV_CODE_OK);
}

static void
test_not_allowed(void)
{
    check(&crypto, tickets_alone, TRUE, "", CLV_CODE_KEYMGMT_UNACCEPTABLE);
    check(&ticket, sdes_alone, TRUE, "", CLV_CODE_KEYMGMT_UNACCEPTABLE);
    check(&both, nothing, TRUE, "", CLV_CODE_KEYMGMT_UNACCEPTABLE);
}

static void
test_unsecured(void)
{
    static const Offer plain = {"RTP/AVP", "mikey AQ4=", "mikey AQ4=", "1 X inline:y"};
    static const Offer plain_f = {"RTP/AVPF", NULL, NULL, "1 X inline:y"};
    static const Offer other = {"udptl", "mikey AQ4=", NULL, NULL};
    static const Offer prefix = {"RTP/SAVPX", "mikey AQ4=", NULL, NULL};

    check(&none, tickets_first, TRUE, "", CLV_CODE_UNSECURED);
    check(&plain, tickets_first, TRUE, "", CLV_CODE_UNSECURED);
    check(&plain_f, sdes_alone, TRUE, "", CLV_CODE_UNSECURED);
    check(&other, tickets_first, TRUE, "", CLV_CODE_UNSECURED);
    check(&prefix, tickets_first, TRUE, "", CLV_CODE_UNSECURED);
}

/* A line at media level stands in place of those at session level, whatever its protocol. */
static void
test_levels(void)
{
    static const Offer media = {"RTP/SAVP", NULL, "mikey AQ4=", NULL};
    static const Offer hidden = {"RTP/SAVP", "mikey AQ4=", "keyp1 AQ4=", NULL};
    static const Offer other = {"RTP/SAVP", "mikeyx AQ4=", NULL, NULL};
    static const Offer upper = {"RTP/SAVP", "MIKEY AQ4=", NULL, NULL};

    check(&media, tickets_alone, TRUE, "mikey-ticket", CLV_CODE_OK);
    check(&hidden, tickets_alone, TRUE, "", CLV_CODE_UNSECURED);
    check(&other, tickets_alone, TRUE, "", CLV_CODE_UNSECURED);
    check(&upper, tickets_alone, TRUE, "", CLV_CODE_UNSECURED); /* protocol ids mind case */
}

/* Without an m-line only what stands at session level can speak. */
static void
test_no_media(void)
{
    g_autofree ClvSdp *sdp = sdp_of(&both);
    ClvCode code = CLV_N_CODES;

    sdp->n_media = 0;
    g_assert_true(clv_keymgmt_choose(sdp, G_MAXUINT, sdes_first, TRUE, &code) ==
                  &clv_mikey_ticket_ops);
    g_assert_cmpint(code, ==, CLV_CODE_OK);
    sdp->n_keymgmt = 0;
    g_assert_null(clv_keymgmt_choose(sdp, G_MAXUINT, sdes_first, TRUE, &code));
    g_assert_cmpint(code, ==, CLV_CODE_UNSECURED);
}

static void
test_registry(void)
{
    guint n = 0;

    for (const ClvKeymgmtOps *const *ops = clv_keymgmt_all(); *ops != NULL; ops++, n++) {
        g_assert_true(clv_keymgmt_find((*ops)->scheme) == *ops);
        g_assert_nonnull((*ops)->name);
        g_assert_nonnull((*ops)->offer_id);
    }
    g_assert_cmpuint(n, ==, 2);
    g_assert_null(clv_keymgmt_find(CLV_SCHEME_NONE));
    g_assert_null(clv_keymgmt_find(CLV_SCHEME_DTLS_SRTP));
    g_assert_cmpint(clv_keymgmt_find(CLV_SCHEME_SDES)->gives, ==, CLV_PROOF_NONE);
    g_assert_cmpint(clv_keymgmt_find(CLV_SCHEME_MIKEY_TICKET)->gives, ==, CLV_PROOF_TICKET);
}

/* Keys are gone after a clear, and a second one does no harm. */
static void
test_output_clear(void)
{
    static const guint8 zeros[sizeof(ClvKeymgmtOutput)];
    ClvKeymgmtOutput out = {
        .bytes = g_byte_array_new(),
        .identity = g_strdup("sip:alice@example.org"),
        .ticket_names = g_strsplit("a b", " ", 0),
        .ticket_hash = g_strdup("00"),
        .answer_line = g_strdup("1 X inline:y"),
        .error_line = g_strdup("mikey AQ4="),
        .has_media = TRUE,
    };

    memset(&out.rx, 0x11, sizeof(out.rx));
    memset(&out.tx, 0x22, sizeof(out.tx));
    clv_keymgmt_output_clear(&out);
    g_assert_cmpmem(&out, sizeof(out), zeros, sizeof(zeros));
    clv_keymgmt_output_clear(&out);
    clv_keymgmt_output_clear(NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/choose/the-policys-order-decides", test_policy_order);
    g_test_add_func("/choose/sdes-needs-secured-signalling", test_sdes_needs_secured_signalling);
    g_test_add_func("/choose/what-is-not-allowed-is-not-taken", test_not_allowed);
    g_test_add_func("/choose/a-plain-line-is-unsecured-whatever-it-says", test_unsecured);
    g_test_add_func("/choose/media-level-before-session-level", test_levels);
    g_test_add_func("/choose/without-media-the-session-level-speaks", test_no_media);
    g_test_add_func("/registry/schemes-are-found", test_registry);
    g_test_add_func("/output/clear-leaves-nothing", test_output_clear);
    return g_test_run();
}
