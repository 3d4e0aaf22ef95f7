/* SPDX-License-Identifier: Apache-2.0 */
/* Does conclave-ua understand its command line, and others its report? Keys in text as well. */
#include "config.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "ua/crypt.h"
#include "ua/decode.h"
#include "ua/dialog-id.h"
#include "ua/digest.h"
#include "ua/options.h"
#include "ua/report.h"
#include "ua/sipfrag.h"
#include "ua/suite.h"
#include "ua/ticket-file.h"
#include "ua/uri-list.h"

/* ---- command line ------------------------------------------------------------------------ */

static ClvUaOptions *
parse(const char *line, GError **error)
{
    g_auto(GStrv) argv = NULL;
    int argc = 0;

    g_assert_true(g_shell_parse_argv(line, &argc, &argv, NULL));
    return clv_ua_options_parse(argc, (const char *const *)argv, error);
}

static void
test_a_whole_line_is_understood(void)
{
    g_autoptr(GError) error = NULL;
    ClvUaOptions *o =
        parse("ua create --factory sip:factory.conf1@127.0.0.1 "
              "--proxy 'sip:127.0.0.1:5061;transport=tls' --identity sip:alice@example.org "
              "--kms=http://127.0.0.1:8089/k --kms-uri sip:kms@example.org --psk-id alice "
              "--psk-file f --invite sip:bob@example.org --invite sip:carol@example.org "
              "--tone 440,1000:-30 --level -20 --duration 2.5 --expect-hear 700:-25,800:-26 "
              "--expect-silent 440:-50 --listen-for 700 --json "
              "--suite AEAD_AES_256_GCM,aes_cm_128_hmac_sha1_80",
              &error);

    g_assert_no_error(error);
    g_assert_cmpint(o->verb, ==, CLV_UA_CREATE);
    g_assert_cmpint(o->keymgmt, ==, CLV_UA_MIKEY);
    g_assert_cmpuint(o->invite->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(o->invite, 1), ==, "sip:carol@example.org");
    g_assert_cmpint(o->duration_ms, ==, 2500);
    g_assert_cmpuint(o->tones->len, ==, 2);
    g_assert_cmpfloat(g_array_index(o->tones, ClvUaTone, 0).dbfs, ==, -20);
    g_assert_cmpfloat(g_array_index(o->tones, ClvUaTone, 1).dbfs, ==, -30);
    /* 700 was named twice and is measured once */
    g_assert_cmpuint(o->listen_for->len, ==, 3);
    g_assert_cmpuint(o->suites->len, ==, 2);
    g_assert_cmpint(g_array_index(o->suites, ClvSrtpSuite, 0), ==, CLV_SRTP_AEAD_AES_256_GCM);
    g_assert_true(o->json);
    clv_ua_options_free(o);
}

static void
test_steps_are_kept_in_their_order(void)
{
    static const struct {
        gint64 at_ms;
        const char *command, *argument;
    } expected[] = {
        {2500, "refer", "sip:carol@example.org"},
        {0, "allow", "sip:carol@example.org,sip:dave@example.org"},
        {9000, "end", ""},
        {1000, "remove", "sip:carol@example.org"},
    };
    g_autoptr(GError) error = NULL;
    ClvUaOptions *o = parse("ua call sip:a@b --refer 2.5:sip:carol@example.org "
                            "--allow-at 0:sip:carol@example.org,sip:dave@example.org "
                            "--end-conference 9 --remove 1:sip:carol@example.org",
                            &error);

    g_assert_no_error(error);
    g_assert_cmpuint(o->steps->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < o->steps->len; i++) {
        const ClvUaStep *step = g_ptr_array_index(o->steps, i);

        g_assert_cmpint(step->at_ms, ==, expected[i].at_ms);
        g_assert_cmpstr(step->command, ==, expected[i].command);
        g_assert_cmpstr(step->argument, ==, expected[i].argument);
    }
    clv_ua_options_free(o);
}

/* ---- dialogs and lists ------------------------------------------------------------------- */

static void
test_what_is_local_to_the_other_side_is_its_to_tag(void)
{
    g_autofree char *name = clv_ua_dialog_format("c;x@h", "theirs", "ours");
    g_autoptr(GString) lines = g_string_new(NULL);

    g_assert_cmpstr(name, ==, "c;x@h;local-tag=theirs;remote-tag=ours");
    clv_ua_append_dialog(lines, "Replaces", name);
    clv_ua_append_dialog(lines, "Join", "c;to-tag=1;from-tag=2");
    clv_ua_append_dialog(lines, "Join", ";remote-tag=r;local-tag=l");
    g_assert_cmpstr(lines->str, ==,
                    "Replaces: c;x@h;to-tag=theirs;from-tag=ours\r\n"
                    "Join: c;to-tag=1;from-tag=2\r\n"
                    "Join: ;remote-tag=r;local-tag=l\r\n");
}

static void
test_nobody_to_dial_is_no_list(void)
{
    ClvUaOptions *o = parse("ua create --factory sip:f@b --keymgmt none", NULL);

    g_assert_null(clv_ua_uri_list(o));
    clv_ua_options_free(o);
    o = parse("ua create --factory sip:f@b --keymgmt none --dial 'sip:a<b>@c' --dial-bcc sip:d@e",
              NULL);
    {
        g_autofree char *list = clv_ua_uri_list(o);
        g_autofree char *both = clv_ua_multipart("v=0\r\n", 5, list, "xyz");

        g_assert_nonnull(strstr(list, "uri=\"sip:a&lt;b&gt;@c\" cp:copyControl=\"to\"/>"));
        g_assert_nonnull(strstr(list, "uri=\"sip:d@e\" cp:copyControl=\"bcc\"/>"));
        g_assert_true(g_str_has_prefix(both, "--xyz\r\nContent-Type: application/sdp\r\n\r\nv=0"));
        g_assert_true(g_str_has_suffix(both, "\r\n--xyz--\r\n"));
    }
    clv_ua_options_free(o);
}

/* ---- sipfrag ----------------------------------------------------------------------------- */

static void
test_a_status_line_is_read_and_nothing_else(void)
{
    static const struct {
        const char *text;
        guint status; /* 0: refused */
        const char *phrase;
    } cases[] = {
        {"SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n", 200, "OK"},
        {"SIP/2.0 100 Trying", 100, "Trying"},
        {"sip/2.0 603 Not Now\n", 603, "Not Now"},
        {"SIP/2.0 180\r\n", 180, ""},
        {"SIP/2.0 180", 180, ""},
        {"SIP/2.0 700 No", 0, NULL},
        {"SIP/2.0 099 No", 0, NULL},
        {"SIP/2.0 20 OK", 0, NULL},
        {"SIP/2.0 2000 OK", 0, NULL},
        {"SIP/3.0 200 OK", 0, NULL},
        {" SIP/2.0 200 OK", 0, NULL},
        {"SIP/2.0 20", 0, NULL},
        {"", 0, NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gsize len = strlen(cases[i].text);
        /* without a NUL behind it, so that a sanitizer sees who reads too far */
        g_autofree char *octets = g_memdup2(cases[i].text, MAX(len, 1));
        g_autofree char *phrase = NULL;
        guint status = 0;

        g_assert_cmpint(clv_ua_sipfrag_parse(octets, len, &status, &phrase), ==,
                        cases[i].status != 0);
        g_assert_cmpuint(status, ==, cases[i].status);
        g_assert_cmpstr(phrase, ==, cases[i].phrase);
    }
}

static void
test_defaults_fit_the_verb(void)
{
    ClvUaOptions *o = parse("ua call sip:bob@127.0.0.1", NULL);

    g_assert_cmpint(o->keymgmt, ==, CLV_UA_SDES);
    g_assert_cmpuint(o->codecs->len, ==, 2);
    g_assert_cmpint(g_array_index(o->suites, ClvSrtpSuite, 0), ==,
                    CLV_SRTP_AES_CM_128_HMAC_SHA1_80);
    g_assert_cmpint(o->duration_ms, ==, -1);
    clv_ua_options_free(o);
}

static void
test_every_mistake_has_a_sentence(void)
{
    static const struct {
        const char *line, *says;
    } mistakes[] = {
        {"ua", "verb is missing"},
        {"ua dance", "unknown verb dance"},
        {"ua call", "needs a URI"},
        {"ua call sip:a@b --dance", "unknown option --dance"},
        {"ua call sip:a@b extra", "what is this: extra"},
        {"ua call sip:a@b --tone", "value is missing after --tone"},
        {"ua call sip:a@b --json=1", "takes no value"},
        {"ua call sip:a@b --factory sip:f@b", "--factory means nothing to 'call'"},
        {"ua call sip:a@b --tone 4400", "--tone: '4400' found"},
        {"ua call sip:a@b --tone 440:loud", "--tone: '440:loud' found"},
        {"ua call sip:a@b --expect-hear 440", "--expect-hear: '440' found"},
        {"ua call sip:a@b --expect-hear 440:-20:1", "found"},
        {"ua call sip:a@b --duration -1", "--duration"},
        {"ua call sip:a@b --duration nan", "--duration"},
        {"ua call sip:a@b --rtp-port 70000", "0 to 65534"},
        {"ua call sip:a@b --rtp-port 7001", "even"},
        {"ua call sip:a@b --suite ROT13", "--suite: 'ROT13' found"},
        {"ua call sip:a@b --codec opus", "PCMA or PCMU"},
        {"ua call sip:a@b --keymgmt zrtp", "mikey|sdes|none expected"},
        {"ua call sip:a@b --tone 440 --play x.wav", "either --tone or --play"},
        {"ua call sip:a@b --user alice", "go together"},
        {"ua call sip:a@b --forge bad-mac", "--forge needs --keymgmt mikey"},
        {"ua call sip:a@b --resume-after 2", "needs --hold-after"},
        {"ua call sip:a@b --refer sip:c@b", "--refer: 'sip:c@b' found, S:URI expected"},
        {"ua call sip:a@b --refer 1:", "--refer: '1:' found"},
        {"ua call sip:a@b --refer -1:sip:c@b", "--refer"},
        {"ua call sip:a@b --rekey-at 1:now", "--rekey-at: '1:now' found, S expected"},
        {"ua call sip:a@b --rekey-at soon", "--rekey-at"},
        {"ua call sip:a@b --refer-to sip:c@b", "means nothing to 'call'"},
        {"ua refer --refer-to sip:c@b", "the URI of whom is asked"},
        {"ua refer sip:a@b", "--refer-to"},
        {"ua refer sip:a@b --refer-to sip:c@b", "--kms and its companions"},
        {"ua refer sip:a@b --refer-to sip:c@b --refer-method OPTIONS", "INVITE|BYE expected"},
        {"ua call sip:a@b --header Subject", "expected 'NAME: VALUE', found Subject"},
        {"ua call sip:a@b --header 'Two words: x'", "--header"},
        {"ua call sip:a@b --header 'A: b\nC: d'", "--header"},
        {"ua call sip:a@b --kms-password-file f", "--kms-user"},
        {"ua answer --register", "--register needs --proxy"},
        {"ua answer --no-transfer-resp", "--no-transfer-resp needs --keymgmt mikey"},
        {"ua join", "the conference's URI"},
        {"ua join sip:c@b", "--ticket-file"},
        {"ua join sip:c@b --kms http://k/", "--kms-uri"},
        {"ua join sip:c@b --forge replay", "--message-file"},
        {"ua ticket --for sip:a@b", "--ticket-file"},
        {"ua ticket --ticket-file f", "--for"},
        {"ua answer sip:a@b", "what is this"},
        {"ua answer --answer-status 200", "300 to 699"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(parse(mistakes[i].line, &error));
        g_assert_error(error, CLV_UA_OPTIONS_ERROR, 0);
        if (strstr(error->message, mistakes[i].says) == NULL)
            g_error("%s: '%s' does not say '%s'", mistakes[i].line, error->message,
                    mistakes[i].says);
    }
}

static void
test_help_names_every_option(void)
{
    g_autofree char *help = clv_ua_options_help();
    static const char *const some[] = {"--factory", "--forge", "--expect-silent", "--interactive"};

    for (guint i = 0; i < G_N_ELEMENTS(some); i++)
        g_assert_nonnull(strstr(help, some[i]));
}

/* ---- report ------------------------------------------------------------------------------ */

static void
test_json_text_is_escaped(void)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\r\n\t\x01\x7f", "\"\\r\\n\\t\\u0001\\u007f\""},
        {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"bad \xff\xc3", "\"bad \\u00ff\\u00c3\""},
        {"line\xe2\x80\xa8sep", "\"line\\u2028sep\""},
        {"cut \xe2\x82", "\"cut \\u00e2\\u0082\""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *json = clv_ua_json_string(cases[i].text);

        g_assert_cmpstr(json, ==, cases[i].json);
    }
}

static char *
record(gboolean json, gboolean quiet, gboolean long_form)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ClvUaReport *r = clv_ua_report_new(out, json, quiet);

    if (long_form)
        clv_ua_report_begin_long(r, "report");
    else
        clv_ua_report_begin(r, "report");
    clv_ua_report_string(r, "who", "al ice");
    clv_ua_report_string(r, "nobody", NULL);
    clv_ua_report_int(r, "n", -3);
    clv_ua_report_number(r, "x", 0.125, 2);
    clv_ua_report_number(r, "inf", 1.0 / 0.0, 1);
    clv_ua_report_bool(r, "b", TRUE);
    clv_ua_report_hex32(r, "ssrc", 0xabc);
    clv_ua_report_list(r, "none");
    clv_ua_report_list_end(r);
    clv_ua_report_list(r, "two");
    for (int i = 0; i < 2; i++) {
        clv_ua_report_item(r);
        clv_ua_report_int(r, "i", i);
        clv_ua_report_bool(r, "j", FALSE);
    }
    clv_ua_report_list_end(r);
    clv_ua_report_int(r, "last", 1);
    clv_ua_report_end(r);
    clv_ua_report_free(r);
    fclose(out);
    return text;
}

static void
test_a_record_is_one_json_line(void)
{
    g_autofree char *text = record(TRUE, TRUE, TRUE);
    const char *rest = strstr(text, ",\"who\"");

    g_assert_true(g_str_has_prefix(text, "{\"event\":\"report\",\"t\":0."));
    g_assert_cmpstr(rest, ==,
                    ",\"who\":\"al ice\",\"n\":-3,\"x\":0.12,\"inf\":0.0,\"b\":true,"
                    "\"ssrc\":\"00000abc\",\"none\":[],"
                    "\"two\":[{\"i\":0,\"j\":false},{\"i\":1,\"j\":false}],\"last\":1}\n");
}

static void
test_people_get_lines(void)
{
    g_autofree char *one = record(FALSE, FALSE, FALSE);
    g_autofree char *many = record(FALSE, TRUE, TRUE);
    g_autofree char *none = record(FALSE, TRUE, FALSE);

    g_assert_nonnull(strstr(one, "report who=\"al ice\" n=-3 x=0.12"));
    g_assert_nonnull(strstr(many, "\n  who                  al ice\n"));
    g_assert_nonnull(strstr(many, "\n  two\n    i=0 j=no\n    i=1 j=no\n  last "));
    g_assert_cmpstr(none, ==, "");
}

/* ---- a=crypto ---------------------------------------------------------------------------- */

static void
test_crypto_lines_come_back(void)
{
    for (guint suite = 1; suite < CLV_N_SRTP_SUITES; suite++) {
        ClvSrtpKeys keys, back = {0};
        g_autofree char *line = NULL;
        guint tag = 0;

        g_assert_true(clv_ua_suite_fresh((ClvSrtpSuite)suite, &keys, NULL));
        line = clv_ua_crypto_format(3, &keys);
        g_assert_true(clv_ua_crypto_parse(line, &tag, &back, NULL));
        g_assert_cmpuint(tag, ==, 3);
        g_assert_cmpmem(&back, sizeof back, &keys, sizeof keys);
    }
}

/* The example of RFC 4568 section 9.1, with its lifetime and MKI */
static void
test_the_rfc_example_is_read(void)
{
    ClvSrtpKeys keys = {0};
    guint tag = 0;
    static const guint8 mki[] = {0, 0, 0, 1};

    g_assert_true(clv_ua_crypto_parse("1 AES_CM_128_HMAC_SHA1_80 "
                                      "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
                                      &tag, &keys, NULL));
    g_assert_cmpuint(tag, ==, 1);
    g_assert_cmpmem(keys.mki, keys.mki_len, mki, sizeof mki);
    g_assert_cmpmem(keys.key, 8, "YS___sem", 8);
}

static void
test_bad_crypto_lines_are_refused(void)
{
    static const char *const bad[] = {
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        "x AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        "1 AES_CM_64 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVub===",
        "1 AES_CM_128_HMAC_SHA1_80 inline:!VNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        "1 AES_CM_128_HMAC_SHA1_80 outline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|1:0",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|1:9",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|256:1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^x",
        "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz "
        "UNENCRYPTED_SRTP",
        "1 AES_256_CM_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        ClvSrtpKeys keys = {0}, before = {0};
        guint tag = 0;

        if (clv_ua_crypto_parse(bad[i], &tag, &keys, &error))
            g_error("accepted: %s", bad[i]);
        g_assert_nonnull(error);
        /* outputs are untouched */
        g_assert_cmpmem(&keys, sizeof keys, &before, sizeof before);
    }
}

/* ---- SRTP -------------------------------------------------------------------------------- */

static void
test_packets_survive_every_suite(void)
{
    for (guint suite = 0; suite < CLV_N_SRTP_SUITES; suite++)
        for (guint mki = 0; mki < 2; mki++) {
            g_autoptr(GError) error = NULL;
            ClvSrtpKeys keys = {0};
            ClvUaCrypt *out, *in;
            _Alignas(8) guint8 packet[64 + CLV_UA_CRYPT_TRAILER] = {0x80, 8, 0, 1};
            guint8 before[64];
            gsize len = sizeof before;

            if (suite != CLV_SRTP_NONE)
                g_assert_true(clv_ua_suite_fresh((ClvSrtpSuite)suite, &keys, NULL));
            else if (mki)
                continue;
            if (mki) {
                keys.mki_len = 4;
                memcpy(keys.mki, "\1\2\3\4", 4);
            }
            memcpy(before, packet, sizeof before);
            out = clv_ua_crypt_new(&keys, FALSE, &error);
            in = clv_ua_crypt_new(&keys, TRUE, &error);
            g_assert_no_error(error);
            g_assert_true(clv_ua_crypt_protect(out, packet, &len, FALSE));
            if (suite != CLV_SRTP_NONE) {
                guint8 copy[sizeof packet];
                gsize copy_len = len;

                g_assert_cmpuint(len, >=, sizeof before + 4 + keys.mki_len);
                memcpy(copy, packet, sizeof packet);
                copy[20] ^= 1;
                g_assert_cmpint(clv_ua_crypt_unprotect(in, copy, &copy_len, FALSE), ==,
                                CLV_UA_BAD_AUTH);
                memcpy(copy, packet, sizeof packet);
                copy_len = len;
                g_assert_cmpint(clv_ua_crypt_unprotect(in, packet, &len, FALSE), ==, CLV_UA_GOOD);
                g_assert_cmpint(clv_ua_crypt_unprotect(in, copy, &copy_len, FALSE), ==,
                                CLV_UA_REPLAYED);
            }
            g_assert_cmpmem(packet, len, before, sizeof before);
            clv_ua_crypt_free(out);
            clv_ua_crypt_free(in);
        }
}

/* ---- digest ------------------------------------------------------------------------------ */

/* RFC 7616 section 3.9.1 */
static void
test_digest_answers_as_in_the_rfc(void)
{
    static const char *const md5[] = {"realm=\"http-auth@example.org\"",
                                      "qop=\"auth, auth-int\"",
                                      "algorithm=MD5",
                                      "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
                                      "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                                      NULL};
    static const char *const sha256[] = {"realm=\"http-auth@example.org\"",
                                         "qop=\"auth, auth-int\"",
                                         "algorithm=SHA-256",
                                         "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
                                         "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                                         NULL};
    ClvUaDigest digest = {"GET",
                          "/dir/index.html",
                          "Mufasa",
                          "Circle of Life",
                          "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                          1};
    g_autofree char *a = clv_ua_digest_answer(md5, &digest);
    g_autofree char *b = clv_ua_digest_answer(sha256, &digest);

    g_assert_nonnull(strstr(a, "response=\"8ca523f5e9506fed4657c9700eebdbec\""));
    g_assert_nonnull(
        strstr(b, "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""));
    g_assert_nonnull(strstr(b, "algorithm=SHA-256"));
    g_assert_nonnull(strstr(b, "qop=auth, nc=00000001"));
    g_assert_cmpuint(clv_ua_digest_rank(md5), <, clv_ua_digest_rank(sha256));
}

/* RFC 2617 section 3.5 without qop, as RFC 2069 had it */
static void
test_old_challenges_are_answered(void)
{
    static const char *const old[] = {"realm=\"testrealm@host.com\"",
                                      "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"", "stale=TRUE",
                                      NULL};
    static const char *const odd[] = {"realm=\"r\"", "nonce=\"n\"", "algorithm=ROT13", NULL};
    static const char *const strange[] = {"realm=\"r\"", "nonce=\"n\"", "qop=\"auth-int\"", NULL};
    ClvUaDigest digest = {"GET", "/dir/index.html", "Mufasa", "Circle Of Life", "x", 1};
    g_autofree char *a = clv_ua_digest_answer(old, &digest);

    g_assert_nonnull(strstr(a, "response=\"670fd8c2df070c60b045671b8b24ff02\""));
    g_assert_null(strstr(a, "qop"));
    g_assert_true(clv_ua_digest_is_stale(old));
    g_assert_false(clv_ua_digest_is_stale(odd));
    g_assert_null(clv_ua_digest_answer(odd, &digest));
    g_assert_null(clv_ua_digest_answer(strange, &digest));
    g_assert_cmpuint(clv_ua_digest_rank(odd), ==, 0);
}

static void
test_names_cannot_break_out_of_the_header(void)
{
    static const char *const challenge[] = {"realm=\"a\\\"b\"", "nonce=\"n\"", NULL};
    ClvUaDigest digest = {"INVITE", "sip:x", "u\"x", "p", "c", 1};
    g_autofree char *a = clv_ua_digest_answer(challenge, &digest);

    g_assert_nonnull(strstr(a, "username=\"u\\\"x\""));
    g_assert_nonnull(strstr(a, "realm=\"a\\\"b\""));
}

/* ---- decode ------------------------------------------------------------------------------ */

static void
collect(const guint8 *octets, gsize len, gsize at, void *user)
{
    GString *out = user;

    g_string_append_printf(out, "%" G_GSIZE_FORMAT ":%02x%" G_GSIZE_FORMAT " ", at, octets[0], len);
}

static void
test_messages_are_found_anywhere(void)
{
    static const struct {
        const char *text, *found;
    } cases[] = {
        {"a=key-mgmt:mikey AQIDBAUG\r\n", "17:016 "},
        {"v=0\r\na=key-mgmt: mikey AQIDBAUG\r\nm=audio\r\na=key-mgmt:mikey AQID\r\n",
         "23:016 59:013 "},
        {"a=key-mgmt:keyp1 AQIDBAUG\r\n", ""},
        {"AQIDBAUG", "0:016 "},
        {"AQID\n  BAUG\n", "0:016 "},
        {"\1\2\3", "0:013 "},
        {"INVITE sip:a SIP/2.0\r\nContent-Type: application/mikey\r\n\r\n"
         "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY\r\n",
         "57:0124 "},
        {"nothing here", ""},
        {"", ""},
        {"a=key-mgmt:mikey", ""},
        {"a=key-mgmt:mikey !!!", ""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) found = g_string_new(NULL);

        clv_ua_decode_find(cases[i].text, strlen(cases[i].text), collect, found);
        g_assert_cmpstr(found->str, ==, cases[i].found);
    }
}

/* ---- ticket file ------------------------------------------------------------------------- */

/* A granted ticket is made from a request's policy: nothing here needs a KMS. */
static MikeyGrant *
some_grant(void)
{
    MikeyIdentity responders[] = {mikey_identity_uri("sip:bob@example.org")};
    MikeyPolicy policy = mikey_policy_default();
    MikeyKey psk = {.len = 32};
    MikeyAccount account = {.psk = &psk,
                            .psk_id = mikey_identity_bytes(mikey_bytes_str("alice")),
                            .self = mikey_identity_uri("sip:alice@example.org"),
                            .kms = mikey_identity_uri("sip:kms@example.org"),
                            .prf = MIKEY_PRF_HMAC_SHA_256};
    MikeyEnv env = {.now = mikey_ntp_from_unix_us(1700000000000000),
                    .random = mikey_random_openssl};
    MikeyRequest *request = NULL;
    MikeyMessage *message = NULL;
    MikeyWriter writer = MIKEY_WRITER_INIT;
    MikeyTicketPayload payload;
    MikeyTicket *ticket = NULL;
    MikeyKey mpki = {.len = 32}, mpkr = {.len = 32};
    MikeyKeyData tgk = {
        .type = MIKEY_KEY_TGK, .key = {.len = 32}, .kv = MIKEY_KV_SPI, .spi_len = 4};
    MikeyGrant *grant = NULL;

    memset(psk.bytes, 1, 32);
    memset(mpki.bytes, 2, 32);
    memset(mpkr.bytes, 3, 32);
    memset(tgk.key.bytes, 4, 32);
    memset(tgk.spi, 5, 4);
    policy.responders = responders;
    policy.n_responders = 1;
    g_assert_cmpint(mikey_request_new(&account, &policy, &env, &request), ==, MIKEY_OK);
    g_assert_cmpint(mikey_message_parse(mikey_request_octets(request), &message), ==, MIKEY_OK);
    payload = mikey_message_find(message, MIKEY_TP, 0)->u.ticket;
    payload.ticket_data = mikey_bytes_str("opaque");
    payload.initiator_data = (MikeyBytes){NULL, 0};
    mikey_ticket_write(&writer, 0, &payload);
    g_assert_cmpint(mikey_ticket_parse(mikey_writer_octets(&writer), &ticket), ==, MIKEY_OK);
    g_assert_cmpint(mikey_grant_new(ticket, &mpki, &mpkr, &tgk, 1, &grant), ==, MIKEY_OK);
    mikey_ticket_free(ticket);
    mikey_writer_clear(&writer);
    mikey_message_free(message);
    mikey_request_free(request);
    return grant;
}

static void
test_a_ticket_comes_back_from_its_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("ua-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "ticket", NULL);
    MikeyGrant *grant = some_grant(), *back;
    MikeyBytes a, b;
    struct stat about;

    g_assert_true(clv_ua_ticket_write(path, grant, &error));
    g_assert_cmpint(stat(path, &about), ==, 0);
    g_assert_cmpint(about.st_mode & 07777, ==, 0600);
    back = clv_ua_ticket_read(path, &error);
    g_assert_no_error(error);
    a = mikey_ticket_octets(mikey_grant_ticket(grant));
    b = mikey_ticket_octets(mikey_grant_ticket(back));
    g_assert_cmpmem(a.data, a.len, b.data, b.len);
    g_assert_true(mikey_key_equal(mikey_grant_mpki(grant), mikey_grant_mpki(back)));
    g_assert_true(mikey_key_equal(mikey_grant_mpkr(grant), mikey_grant_mpkr(back)));
    g_assert_cmpuint(mikey_grant_n_keys(back), ==, 1);
    g_assert_true(mikey_key_equal(&mikey_grant_key(grant, 0)->key, &mikey_grant_key(back, 0)->key));
    g_assert_cmpuint(mikey_grant_key(back, 0)->spi_len, ==, 4);

    g_assert_cmpint(g_chmod(path, 0640), ==, 0);
    g_assert_null(clv_ua_ticket_read(path, &error));
    g_assert_nonnull(strstr(error->message, "mode 0640"));

    mikey_grant_free(grant);
    mikey_grant_free(back);
    g_unlink(path);
    g_rmdir(dir);
}

static void
test_a_broken_ticket_file_is_refused(void)
{
    static const char *const broken[] = {
        "",
        "conclave-ua ticket 2\n",
        "conclave-ua ticket 1\n",
        "conclave-ua ticket 1\nticket 0\n",
        "conclave-ua ticket 1\nticket zz\n",
        "conclave-ua ticket 1\nnonsense 00\n",
        "conclave-ua ticket 1\nmpki\n",
        "conclave-ua ticket 1\nkey 00\n",
        "conclave-ua ticket 1\nticket 00000101\nmpki 00\n",
    };
    g_autofree char *dir = g_dir_make_tmp("ua-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "ticket", NULL);

    for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(g_file_set_contents_full(path, broken[i], -1, 0, 0600, NULL));
        g_assert_null(clv_ua_ticket_read(path, &error));
        g_assert_nonnull(error);
    }
    g_unlink(path);
    g_rmdir(dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/a-whole-line-is-understood", test_a_whole_line_is_understood);
    g_test_add_func("/options/defaults-fit-the-verb", test_defaults_fit_the_verb);
    g_test_add_func("/options/steps-are-kept-in-their-order", test_steps_are_kept_in_their_order);
    g_test_add_func("/dialog/what-is-local-to-the-other-side-is-its-to-tag",
                    test_what_is_local_to_the_other_side_is_its_to_tag);
    g_test_add_func("/list/nobody-to-dial-is-no-list", test_nobody_to_dial_is_no_list);
    g_test_add_func("/sipfrag/a-status-line-is-read-and-nothing-else",
                    test_a_status_line_is_read_and_nothing_else);
    g_test_add_func("/options/every-mistake-has-a-sentence", test_every_mistake_has_a_sentence);
    g_test_add_func("/options/help-names-every-option", test_help_names_every_option);
    g_test_add_func("/report/json-text-is-escaped", test_json_text_is_escaped);
    g_test_add_func("/report/a-record-is-one-json-line", test_a_record_is_one_json_line);
    g_test_add_func("/report/people-get-lines", test_people_get_lines);
    g_test_add_func("/crypto/lines-come-back", test_crypto_lines_come_back);
    g_test_add_func("/crypto/the-rfc-example-is-read", test_the_rfc_example_is_read);
    g_test_add_func("/crypto/bad-lines-are-refused", test_bad_crypto_lines_are_refused);
    g_test_add_func("/srtp/packets-survive-every-suite", test_packets_survive_every_suite);
    g_test_add_func("/digest/answers-as-in-the-rfc", test_digest_answers_as_in_the_rfc);
    g_test_add_func("/digest/old-challenges-are-answered", test_old_challenges_are_answered);
    g_test_add_func("/digest/names-cannot-break-out", test_names_cannot_break_out_of_the_header);
    g_test_add_func("/decode/messages-are-found-anywhere", test_messages_are_found_anywhere);
    g_test_add_func("/ticket/comes-back-from-its-file", test_a_ticket_comes_back_from_its_file);
    g_test_add_func("/ticket/a-broken-file-is-refused", test_a_broken_ticket_file_is_refused);
    return g_test_run();
}
