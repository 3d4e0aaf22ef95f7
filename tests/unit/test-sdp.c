/* SPDX-License-Identifier: Apache-2.0 */
/* Does SDP mean what we read, and do our answers keep RFC 3264 and 4568? */
#include "config.h"

#include "sip/sdp.h"

#include <string.h>

#include "base/secret.h"

#define HEAD "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

static const char *const our_codecs[] = {"PCMA", "PCMU", NULL};
static const ClvSdpLocal local4 = {"192.0.2.9", 77, 3, our_codecs};

static ClvSdp *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    ClvSdp *sdp = clv_sdp_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    g_assert_nonnull(sdp);
    return sdp;
}

static void
assert_refused(const char *text, const char *sentence)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(clv_sdp_parse(text, strlen(text), &error));
    g_assert_error(error, CLV_SDP_ERROR, 0);
    if (strstr(error->message, sentence) == NULL)
        g_error("'%s' does not say '%s'", error->message, sentence);
}

static char *
vector(const char *name)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "tests", "vectors", "sdp", name, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static char *
answer_text(const ClvSdp *offer, const ClvSdpLocal *local, const char *key, gboolean crypto,
            gboolean session)
{
    ClvSdpChoice choice;
    ClvSdp *answer;
    char *text;

    g_assert_cmpint(clv_sdp_choose(offer, local, &choice), ==, CLV_CODE_OK);
    answer = clv_sdp_answer(offer, local, &choice, 4000, 4001, key, crypto, session);
    text = clv_sdp_format(answer);
    clv_sdp_free(answer);
    return text;
}

/* ---- reading ----------------------------------------------------------------------------- */

static void
killers_are_refused(void)
{
    assert_refused(HEAD "m=audio 9 FOO (\r\n", "format");
    assert_refused(HEAD "m=audio 9 RT\xbe/AVP 0\r\n", "protocol");
    assert_refused(HEAD "m=audio 9 RTP//AVP 0\r\n", "protocol");
    assert_refused(HEAD "m=audio 9 RTP/AVP/ 0\r\n", "protocol");
    assert_refused(HEAD "m=audio 9 RTP/AVP\r\n", "without a format");
    assert_refused(HEAD "m=audio 9 RTP/AVP 0 \xff\r\n", "token");
    assert_refused(HEAD "m=audio 9 RTP/AVP 128\r\n", "0 to 127");
    assert_refused(HEAD "m=audio 65536 RTP/AVP 0\r\n", "port number");
    assert_refused(HEAD "m=audio -1 RTP/AVP 0\r\n", "port number");
    assert_refused(HEAD "m= 9 RTP/AVP 0\r\n", "port number");
    assert_refused(HEAD "m=\r\n", "media type");
}

static void
limits_hold(void)
{
    g_autoptr(GString) text = g_string_new(HEAD);
    g_autofree char *big = g_malloc0(CLV_SDP_MAX_BYTES + 1);
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 1000; i++)
        g_string_append(text, "m=audio 9 RTP/AVP 0\r\n");
    assert_refused(text->str, "more than 16 m= lines");

    g_string_assign(text, HEAD);
    for (int i = 0; i < 1000; i++)
        g_string_append(text, "a=x:y\r\n");
    assert_refused(text->str, "more than 1000 lines");

    memset(big, 'v', CLV_SDP_MAX_BYTES + 1);
    g_assert_null(clv_sdp_parse(big, CLV_SDP_MAX_BYTES + 1, &error));
    g_assert_error(error, CLV_SDP_ERROR, 0);

    g_string_assign(text, HEAD);
    for (int i = 0; i < 9; i++)
        g_string_append(text, "a=key-mgmt:mikey AQ==\r\n");
    assert_refused(text->str, "a=key-mgmt");
}

static void
broken_lines_are_named(void)
{
    assert_refused("", "no o=");
    assert_refused("v=0\r\n", "no o=");
    assert_refused("o=- 1 1 IN IP4 1.2.3.4\r\n", "line 1: v=0");
    assert_refused("v=1\r\n", "line 1");
    assert_refused(HEAD "v=0\r\n", "line 6");
    assert_refused(HEAD "nonsense\r\n", "line 6");
    assert_refused(HEAD "Q=unknown letter\r\n", "unknown type");
    assert_refused(HEAD "\r\na=x\r\n", "line 6");
    assert_refused(HEAD "a=\r\n", "no token");
    assert_refused(HEAD "o=- 1 2 IN IP4 192.0.2.1\r\n", "o=");
    assert_refused("v=0\r\no=- x 2 IN IP4 192.0.2.1\r\n", "two numbers");
    assert_refused("v=0\r\no=- 1 2 IN IP5 192.0.2.1\r\n", "address");
    assert_refused("v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\n", "no c= line");
    assert_refused("v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\nc=IN IP4\r\n", "c=");
    assert_refused(HEAD "a=key-mgmt:mikey\r\n", "key-mgmt");
    assert_refused(HEAD "a=key-mgmt:mikey AQ== x\r\n", "key-mgmt");
    assert_refused(HEAD "a=key-mgmt:mi(key AQ==\r\n", "key-mgmt");
    assert_refused(HEAD "m=audio 9 RTP/AVP 0\r\na=rtcp:x\r\n", "rtcp");
    assert_refused(HEAD "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU\r\n", "rtpmap");
}

static void
control_octets_are_refused(void)
{
    static const char with_nul[] = HEAD "a=x:\0y\r\n";

    g_assert_null(clv_sdp_parse(with_nul, sizeof(with_nul) - 1, NULL));
    assert_refused(HEAD "a=crypto:1 x\ry\r\n", "carriage return");
}

/* Every truncation of a real offer is read or refused, and never past its end: the copy ends
 * where the text ends, for the address sanitizer to see. */
static void
every_truncation_is_survived(void)
{
    static const char *const names[] = {"baresip-1.0.0-srtp-mand.sdp", "linphone-5.1-srtp.sdp"};

    for (gsize k = 0; k < G_N_ELEMENTS(names); k++) {
        g_autofree char *text = vector(names[k]);

        for (gsize n = 0; n < strlen(text); n++) {
            char *copy = g_memdup2(text, n);

            clv_sdp_free(clv_sdp_parse(copy != NULL ? copy : "", n, NULL));
            g_free(copy);
        }
    }
}

static void
baresip_offer_is_understood(void)
{
    g_autofree char *text = vector("baresip-1.0.0-srtp-mand.sdp");
    ClvSdp *sdp = parse(text);
    const ClvSdpMedia *m = &sdp->media[0];

    g_assert_cmpuint(sdp->n_media, ==, 1);
    g_assert_cmpuint(sdp->session_id, ==, 1419932218);
    g_assert_cmpstr(m->type, ==, "audio");
    g_assert_cmpstr(m->proto, ==, "RTP/SAVP");
    g_assert_cmpstr(m->formats, ==, "0 8 101");
    g_assert_cmpuint(m->port, ==, 23432);
    g_assert_cmpstr(m->rtp.host, ==, "127.0.0.1");
    g_assert_cmpuint(m->rtcp.port, ==, 23433);
    g_assert_cmpuint(m->n_codecs, ==, 3);
    g_assert_cmpstr(m->codecs[2].name, ==, "telephone-event");
    g_assert_cmpstr(m->codecs[2].fmtp, ==, "0-15");
    g_assert_cmpuint(m->ptime_ms, ==, 20);
    g_assert_cmpuint(m->n_crypto, ==, 1);
    g_assert_cmpstr(m->crypto[0], ==,
                    "1 AES_CM_128_HMAC_SHA1_80 inline:Vdyox1lX1AccCU4kfPQPu5gwLozo8VOxSp+rQpCX");
    g_assert_cmpint(m->direction, ==, CLV_DIR_SENDRECV);
    clv_sdp_free(sdp);
}

static void
linphone_offer_is_understood(void)
{
    g_autofree char *text = vector("linphone-5.1-srtp.sdp");
    ClvSdp *sdp = parse(text);
    const ClvSdpMedia *m = &sdp->media[0];

    g_assert_cmpstr(sdp->origin_user, ==, "lin");
    g_assert_cmpuint(m->n_crypto, ==, 4);
    g_assert_cmpuint(m->n_codecs, ==, 3);
    g_assert_cmpstr(m->codecs[0].name, ==, "PCMU"); /* static, without a=rtpmap */
    g_assert_cmpuint(m->codecs[0].rate_hz, ==, 8000);
    g_assert_cmpuint(m->codecs[2].pt, ==, 96);
    clv_sdp_free(sdp);
}

static void
session_level_reaches_every_line(void)
{
    ClvSdp *sdp = parse("v=0\no=- 1 99999999999999999999999 IN IP6 2001:db8::1\ns=-\n"
                        "c=IN IP6 2001:db8::1\nt=0 0\na=sendonly\na=setup:actpass\n"
                        "a=fingerprint:sha-256 AA:BB\n"
                        "m=audio 6000 RTP/SAVP 0\na=rtcp:7001 IN IP4 192.0.2.7\na=rtcp-mux\n"
                        "m=audio 8000/2 RTP/SAVP 8\nc=IN IP4 0.0.0.0\na=recvonly\na=setup:passive\n"
                        "m=application 9 TCP/TLS/BFCP *\na=label:floor\na=mid:3\n\n");

    g_assert_cmpuint(sdp->session_version, ==, G_MAXUINT64);
    g_assert_cmpstr(sdp->media[0].rtp.host, ==, "2001:db8::1");
    g_assert_cmpint(sdp->media[0].direction, ==, CLV_DIR_SENDONLY);
    g_assert_cmpstr(sdp->media[0].setup, ==, "actpass");
    g_assert_cmpstr(sdp->media[0].rtcp.host, ==, "192.0.2.7");
    g_assert_cmpuint(sdp->media[0].rtcp.port, ==, 7001);
    g_assert_true(sdp->media[0].rtcp_mux);
    /* the old way to say hold */
    g_assert_cmpint(sdp->media[1].direction, ==, CLV_DIR_INACTIVE);
    g_assert_cmpuint(sdp->media[1].port, ==, 8000);
    g_assert_cmpstr(sdp->media[1].setup, ==, "passive");
    g_assert_cmpstr(sdp->media[1].fingerprint, ==, "sha-256 AA:BB");
    g_assert_cmpstr(sdp->media[2].proto, ==, "TCP/TLS/BFCP");
    g_assert_cmpuint(sdp->media[2].n_codecs, ==, 0);
    g_assert_cmpstr(sdp->media[2].label, ==, "floor");
    g_assert_cmpstr(sdp->media[2].mid, ==, "3");
    clv_sdp_free(sdp);
}

/* RFC 4567 prints the attribute with and without a blank after the colon. */
static void
key_mgmt_lines_keep_one_blank(void)
{
    ClvSdp *sdp =
        parse(HEAD "a=key-mgmt: mikey   AQAFgM0X\r\n"
                   "m=audio 9 RTP/SAVP 0\r\na=key-mgmt:mikey BBBB\r\na=key-mgmt:x-or CC\r\n");

    g_assert_cmpuint(sdp->n_keymgmt, ==, 1);
    g_assert_cmpstr(sdp->keymgmt[0], ==, "mikey AQAFgM0X");
    g_assert_cmpuint(sdp->media[0].n_keymgmt, ==, 2);
    g_assert_cmpstr(sdp->media[0].keymgmt[1], ==, "x-or CC");
    clv_sdp_free(sdp);
}

static void
dynamic_types_can_rename_static_ones(void)
{
    ClvSdp *sdp = parse(HEAD "m=audio 9 RTP/AVP 0 97 98 8\r\na=rtpmap:97 PCMA/8000\r\n"
                             "a=rtpmap:0 L16/44100/2\r\na=fmtp:8 x=y\r\na=rtpmap:50 FOO/1\r\n");
    const ClvSdpMedia *m = &sdp->media[0];

    g_assert_cmpuint(m->n_codecs, ==, 3); /* 98 has no mapping */
    g_assert_cmpstr(m->codecs[0].name, ==, "L16");
    g_assert_cmpuint(m->codecs[0].channels, ==, 2);
    g_assert_cmpstr(m->codecs[1].name, ==, "PCMA");
    g_assert_cmpuint(m->codecs[1].pt, ==, 97);
    g_assert_cmpstr(m->codecs[2].fmtp, ==, "x=y");
    clv_sdp_free(sdp);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void
writing_and_reading_again_changes_nothing(void)
{
    static const char *const names[] = {"baresip-1.0.0-srtp-mand.sdp", "baresip-1.0.0-dtls.sdp",
                                        "linphone-5.1-srtp.sdp", "linphone-5.1-plain.sdp"};

    for (gsize k = 0; k < G_N_ELEMENTS(names); k++) {
        g_autofree char *text = vector(names[k]);
        ClvSdp *once = parse(text);
        ClvSdp *copy = clv_sdp_copy(once);
        char *first = clv_sdp_format(once);
        ClvSdp *twice = parse(first);
        char *second = clv_sdp_format(twice);
        char *third = clv_sdp_format(copy);

        g_assert_cmpstr(first, ==, second);
        g_assert_cmpstr(first, ==, third);
        g_assert_cmpmem(once->media[0].codecs, sizeof(once->media[0].codecs),
                        twice->media[0].codecs, sizeof(twice->media[0].codecs));
        clv_sdp_free(once);
        clv_sdp_free(twice);
        clv_sdp_free(copy);
        clv_secret_free_string(first);
        clv_secret_free_string(second);
        clv_secret_free_string(third);
    }
}

static void
a_built_offer_lists_its_codecs(void)
{
    ClvSdp *sdp = g_new0(ClvSdp, 1);
    char *text;

    g_strlcpy(sdp->origin.host, "::1", sizeof(sdp->origin.host));
    sdp->n_media = 1;
    g_strlcpy(sdp->media[0].type, "audio", 16);
    g_strlcpy(sdp->media[0].proto, "RTP/SAVP", 32);
    g_strlcpy(sdp->media[0].rtp.host, "::1", 64);
    g_strlcpy(sdp->media[0].rtcp.host, "::1", 64);
    sdp->media[0].port = 4000;
    sdp->media[0].rtcp.port = 4001;
    sdp->media[0].direction = CLV_DIR_SENDRECV;
    sdp->media[0].codecs[0] = (ClvCodec){0, "PCMU", 8000, 1, ""};
    sdp->media[0].codecs[1] = (ClvCodec){96, "opus", 48000, 2, "useinbandfec=1"};
    sdp->media[0].n_codecs = 2;
    text = clv_sdp_format(sdp);
    g_assert_cmpstr(text, ==,
                    "v=0\r\no=- 0 0 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\n"
                    "m=audio 4000 RTP/SAVP 0 96\r\na=rtpmap:0 PCMU/8000\r\n"
                    "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=sendrecv\r\n");
    clv_secret_free_string(text);
    clv_sdp_free(sdp);
}

/* ---- answering --------------------------------------------------------------------------- */

static void
answers_are_golden(void)
{
    static const struct {
        const char *offer, *answer, *key;
        gboolean crypto, session;
    } cases[] = {
        {"baresip-1.0.0-srtp-mand.sdp", "answer-baresip.sdp",
         "1 AES_CM_128_HMAC_SHA1_80 inline:b3VyLW93bi1tYXN0ZXIta2V5LWFuZC1zYWx0LTEy", TRUE, FALSE},
        {"linphone-5.1-srtp.sdp", "answer-linphone.sdp",
         "3 AES_256_CM_HMAC_SHA1_80 inline:b3VyLW93bi1tYXN0ZXIta2V5LWFuZC1zYWx0LTEy", TRUE, FALSE},
        {"offer-three-lines.sdp", "answer-three-lines.sdp", "mikey AQAFgM0XflABAAAA", FALSE, TRUE},
        {"offer-three-lines.sdp", "answer-three-lines-media.sdp", "mikey AQAFgM0XflABAAAA", FALSE,
         FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *offer_text = vector(cases[i].offer);
        g_autofree char *golden = vector(cases[i].answer);
        ClvSdp *offer = parse(offer_text);
        ClvSdpLocal local = local4;
        char *text = answer_text(offer, &local, cases[i].key, cases[i].crypto, cases[i].session);

        g_assert_cmpstr(text, ==, golden);
        clv_secret_free_string(text);
        clv_sdp_free(offer);
    }
}

static void
hold_is_mirrored(void)
{
    static const struct {
        const char *said;
        ClvDirection ours;
    } cases[] = {
        {"sendrecv", CLV_DIR_SENDRECV},
        {"sendonly", CLV_DIR_RECVONLY},
        {"recvonly", CLV_DIR_SENDONLY},
        {"inactive", CLV_DIR_INACTIVE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text =
            g_strdup_printf(HEAD "m=audio 9 RTP/SAVPF 8\r\na=%s\r\n", cases[i].said);
        ClvSdp *offer = parse(text);
        ClvSdpChoice choice;

        g_assert_cmpint(clv_sdp_choose(offer, &local4, &choice), ==, CLV_CODE_OK);
        g_assert_cmpint(choice.direction, ==, cases[i].ours);
        clv_sdp_free(offer);
    }
}

static void
choices_name_their_reason(void)
{
    static const struct {
        const char *lines;
        ClvCode code;
        guint index;
        const char *codec;
        gint dtmf;
    } cases[] = {
        {"m=audio 9 RTP/AVP 0\r\n", CLV_CODE_UNSECURED, 0, NULL, 0},
        {"m=audio 9 RTP/AVPF 0\r\nm=video 9 RTP/SAVP 31\r\n", CLV_CODE_UNSECURED, 0, NULL, 0},
        {"m=audio 9 RTP/SAVP 18\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL, 0},
        {"m=audio 9 RTP/SAVP 96\r\na=rtpmap:96 PCMU/16000\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL,
         0},
        {"m=video 9 RTP/SAVP 31\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL, 0},
        {"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL, 0},
        {"m=audio 9 RTP/SAVP 0\r\nc=IN IP6 2001:db8::1\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL, 0},
        {"m=audio 9 RTP/SAVP 0\r\nc=IN IP4 some.example.org\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL,
         0},
        {"m=audio 9 RTP/SAVP 0\r\nc=IN IP4 239.1.1.1/127\r\n", CLV_CODE_NO_COMMON_MEDIA, 0, NULL,
         0},
        {"m=audio 0 RTP/AVP 0\r\n", CLV_CODE_OK, G_MAXUINT, NULL, 0},
        {"", CLV_CODE_OK, G_MAXUINT, NULL, 0},
        {"m=audio 9 RTP/AVP 0\r\nm=audio 0 RTP/SAVP 0\r\nm=audio 9 RTP/SAVP 0 8\r\n", CLV_CODE_OK,
         2, "PCMU", -1},
        /* 5.14: a line without keys is as good as none, where another one has some */
        {"m=audio 9 RTP/SAVP 0\r\nm=audio 9 RTP/SAVP 8\r\n"
         "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n",
         CLV_CODE_OK, 1, "PCMA", -1},
        {"m=audio 9 RTP/SAVP 0\r\nm=audio 9 RTP/SAVP 8\r\n", CLV_CODE_OK, 0, "PCMU", -1},
        {"m=audio 9 RTP/SAVP 18 8 0 101 102\r\na=rtpmap:101 telephone-event/16000\r\n"
         "a=rtpmap:102 TELEPHONE-EVENT/8000\r\n",
         CLV_CODE_OK, 0, "PCMA", 102},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strconcat(HEAD, cases[i].lines, NULL);
        ClvSdp *offer = parse(text);
        ClvSdpChoice choice = {0};

        g_test_message("%s", cases[i].lines);
        g_assert_cmpint(clv_sdp_choose(offer, &local4, &choice), ==, cases[i].code);
        if (cases[i].code == CLV_CODE_OK) {
            g_assert_cmpuint(choice.media_index, ==, cases[i].index);
            g_assert_cmpint(choice.no_media, ==, cases[i].codec == NULL);
        }
        if (cases[i].codec != NULL) {
            g_assert_cmpstr(choice.codec.name, ==, cases[i].codec);
            g_assert_cmpint(choice.dtmf_pt, ==, cases[i].dtmf);
        }
        clv_sdp_free(offer);
    }
}

static void
creation_only_is_answered_without_media(void)
{
    ClvSdp *offer = parse(HEAD "a=key-mgmt:mikey AQAF\r\nm=audio 0 RTP/SAVP 0\r\n");
    char *text = answer_text(offer, &local4, "mikey BBBB", FALSE, TRUE);

    g_assert_cmpstr(text, ==,
                    "v=0\r\no=- 77 3 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
                    "a=key-mgmt:mikey BBBB\r\nm=audio 0 RTP/SAVP 0\r\na=label:1\r\n");
    clv_secret_free_string(text);
    clv_sdp_free(offer);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sdp/texts-that-kill-others-are-refused", killers_are_refused);
    g_test_add_func("/sdp/limits-hold", limits_hold);
    g_test_add_func("/sdp/broken-lines-are-named", broken_lines_are_named);
    g_test_add_func("/sdp/control-octets-are-refused", control_octets_are_refused);
    g_test_add_func("/sdp/every-truncation-is-survived", every_truncation_is_survived);
    g_test_add_func("/sdp/baresip-offer-is-understood", baresip_offer_is_understood);
    g_test_add_func("/sdp/linphone-offer-is-understood", linphone_offer_is_understood);
    g_test_add_func("/sdp/session-level-reaches-every-line", session_level_reaches_every_line);
    g_test_add_func("/sdp/key-mgmt-lines-keep-one-blank", key_mgmt_lines_keep_one_blank);
    g_test_add_func("/sdp/dynamic-types-can-rename-static-ones",
                    dynamic_types_can_rename_static_ones);
    g_test_add_func("/sdp/write-and-read-again-changes-nothing",
                    writing_and_reading_again_changes_nothing);
    g_test_add_func("/sdp/built-offer-lists-its-codecs", a_built_offer_lists_its_codecs);
    g_test_add_func("/sdp/answers-are-golden", answers_are_golden);
    g_test_add_func("/sdp/hold-is-mirrored", hold_is_mirrored);
    g_test_add_func("/sdp/choices-name-their-reason", choices_name_their_reason);
    g_test_add_func("/sdp/creation-only-is-answered-without-media",
                    creation_only_is_answered_without_media);
    return g_test_run();
}
