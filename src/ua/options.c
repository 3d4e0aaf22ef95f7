/* SPDX-License-Identifier: Apache-2.0 */
/* ua/options.c - one table of options */
#include "ua/options.h"

#include "ua/suite.h"

#include <math.h>
#include <string.h>

G_DEFINE_QUARK(clv_ua_options_error, clv_ua_options_error)

typedef enum Kind {
    FLAG,
    TEXT,    /* char * */
    TEXTS,   /* GPtrArray of char *: may be given again */
    NUMBER,  /* gint64 within min and max */
    SECONDS, /* gint64 milliseconds, given as seconds with a decimal point */
    DECIBEL, /* double, -120 to 0 */
    WORD,    /* int: place in words */
    STEPS,   /* GPtrArray of ClvUaStep, "S:TEXT" or "S"; the first of words is the command */
    TONES,   /* GArray of ClvUaTone: HZ[:DBFS],... */
    HERTZ,   /* GArray of double: HZ,... */
    EXPECT,  /* GArray of ClvUaExpect: HZ:DBFS,... */
    SUITES,  /* GArray of ClvSrtpSuite */
} Kind;

enum {
    CREATE = 1 << CLV_UA_CREATE,
    JOIN = 1 << CLV_UA_JOIN,
    CALL = 1 << CLV_UA_CALL,
    ANSWER = 1 << CLV_UA_ANSWER,
    REFER = 1 << CLV_UA_REFER,
    TICKET = 1 << CLV_UA_TICKET,
    DECODE = 1 << CLV_UA_DECODE,
    OUT = CREATE | JOIN | CALL,
    CALLS = OUT | ANSWER,
    SIP = CALLS | REFER,
    KMS = SIP | TICKET,
};

typedef struct Option {
    const char *name;
    Kind kind;
    guint verbs;
    gsize offset;
    const char *argument;
    const char *help;
    gint64 min, max;
    const char *const *words;
} Option;

static const char *const verb_names[] = {"create", "join",   "call",   "answer",
                                         "refer",  "ticket", "decode", NULL};
static const char *const keymgmt_words[] = {"mikey", "sdes", "none", NULL};
static const char *const transport_words[] = {"udp", "tcp", "tls", NULL};
static const char *const hold_words[] = {"sendonly", "inactive", NULL};
static const char *const forge_words[] = {"none",   "bad-mac", "bad-vi",     "stolen-ticket",
                                          "replay", "expired", "no-sdp-ids", NULL};

static const char *const refer_method_words[] = {"INVITE", "BYE", NULL};
static const char *const refer_body_words[] = {"mikey", "sdp", "none", NULL};
static const char *const allow_method_words[] = {"reinvite", "update", NULL};
/* commands of script.c; a second word: it takes no text */
static const char *const refer_step[] = {"refer", NULL};
static const char *const remove_step[] = {"remove", NULL};
static const char *const end_step[] = {"end", "", NULL};
static const char *const allow_step[] = {"allow", NULL};
static const char *const rekey_step[] = {"rekey", "", NULL};
static const char *const update_step[] = {"update", "", NULL};
static const char *const dtmf_step[] = {"dtmf", NULL};
static const char *const identity_step[] = {"identity", NULL};

#define AT(member) G_STRUCT_OFFSET(ClvUaOptions, member)

static const Option table[] = {
    {"factory", TEXT, CREATE, AT(factory), "URI", "conference factory to call", 0, 0, NULL},
    {"invite", TEXTS, CREATE, AT(invite), "URI", "name a participant in the ticket; repeat it", 0,
     0, NULL},
    {"dial", TEXTS, CREATE, AT(dial), "URI", "have the focus call it (RFC 5366); repeat it", 0, 0,
     NULL},
    {"dial-cc", TEXTS, CREATE, AT(dial_cc), "URI", "the same, marked cc", 0, 0, NULL},
    {"dial-bcc", TEXTS, CREATE, AT(dial_bcc), "URI", "the same, hidden from the others", 0, 0,
     NULL},
    {"anonymize", FLAG, CREATE, AT(anonymize), NULL, "mark all of them as anonymous", 0, 0, NULL},
    {"dial-unnamed", FLAG, CREATE, AT(dial_unnamed), NULL,
     "leave those to be dialled out of the ticket", 0, 0, NULL},
    {"header", TEXTS, OUT | REFER, AT(headers), "'NAME: VALUE'",
     "put that into INVITE or REFER; repeat it", 0, 0, NULL},
    {"privacy", TEXT, OUT | REFER, AT(privacy), "WORD;...", "Privacy: id, user, header, none", 0, 0,
     NULL},
    {"replaces", TEXT, OUT, AT(replaces), "DIALOG", "take the place of that dialog (RFC 3891)", 0,
     0, NULL},
    {"join", TEXT, OUT, AT(join), "DIALOG", "join that dialog (RFC 3911)", 0, 0, NULL},
    {"require-100rel", FLAG, OUT, AT(require_100rel), NULL, "want reliable provisional answers", 0,
     0, NULL},
    {"preconditions", FLAG, OUT, AT(preconditions), NULL,
     "require QoS preconditions (RFC 3312), met by UPDATE after the first answer", 0, 0, NULL},
    {"register", FLAG, CALLS, AT(registers), NULL,
     "REGISTER at the proxy before anything else, and take it back in the end", 0, 0, NULL},
    {"proxy", TEXT, SIP, AT(proxy), "URI", "send every request there", 0, 0, NULL},
    {"identity", TEXT, KMS, AT(identity), "URI", "who we are: From, and IDRi of the ticket", 0, 0,
     NULL},
    {"display-name", TEXT, SIP, AT(display_name), "TEXT", "name beside the identity", 0, 0, NULL},
    {"listen", TEXT, SIP, AT(listen), "ADDR[:PORT]",
     "local address for SIP and media (default: towards the peer, any port)", 0, 0, NULL},
    {"transport", WORD, SIP, AT(transport), "udp|tcp|tls",
     "transport of SIP (default: that of proxy or URI, else udp)", 0, 0, transport_words},
    {"ca", TEXT, SIP, AT(ca), "FILE", "certificates that TLS servers are checked against", 0, 0,
     NULL},
    {"cert", TEXT, SIP, AT(cert), "FILE", "our own TLS certificate and key, PEM", 0, 0, NULL},
    {"insecure", FLAG, SIP, AT(insecure), NULL, "do not check TLS certificates at all", 0, 0, NULL},
    {"user", TEXT, SIP, AT(user), "NAME", "user for digest authentication", 0, 0, NULL},
    {"password-file", TEXT, SIP, AT(password_file), "FILE", "its password, on the first line", 0, 0,
     NULL},
    {"session-expires", NUMBER, CALLS, AT(session_expires_s), "S",
     "session timer, 0 for none (default 1800)", 0, 86400, NULL},
    {"answer-timeout", SECONDS, OUT, AT(answer_timeout_ms), "S",
     "CANCEL when there is no final answer by then (default 60)", 0, 3600, NULL},
    {"cancel-after", NUMBER, OUT, AT(cancel_after_ms), "MS", "CANCEL the call then", 0, 600000,
     NULL},
    {"answer-after", NUMBER, ANSWER, AT(answer_after_ms), "MS", "let it ring so long", 0, 600000,
     NULL},
    {"answer-status", NUMBER, ANSWER, AT(answer_status), "N", "refuse calls with this status", 300,
     699, NULL},
    {"no-media", FLAG, OUT, AT(no_media), NULL,
     "offer no media line: create and control the conference alone", 0, 0, NULL},

    {"refer-to", TEXT, REFER, AT(refer_to), "URI", "whom to call, or to remove", 0, 0, NULL},
    {"refer-method", WORD, REFER, AT(refer_method), "INVITE|BYE", "bring him in, or throw him out",
     0, 0, refer_method_words},
    {"refer-body", WORD, SIP, AT(refer_body), "mikey|sdp|none",
     "how a REFER carries its ticket (default mikey)", 0, 0, refer_body_words},
    {"target-dialog", TEXT, REFER, AT(target_dialog), "DIALOG",
     "of a call that the other side knows us by, as it is reported", 0, 0, NULL},
    {"norefersub", FLAG, SIP, AT(no_refer_sub), NULL, "ask for no NOTIFY after a REFER", 0, 0,
     NULL},
    {"refer-timeout", SECONDS, SIP, AT(refer_timeout_ms), "S",
     "wait so long for the last NOTIFY (default 60)", 0, 3600, NULL},
    {"refer", STEPS, CALLS, AT(steps), "S:URI", "REFER the other side to it, S after the answer", 0,
     0, refer_step},
    {"remove", STEPS, CALLS, AT(steps), "S:URI", "REFER with method=BYE then", 0, 0, remove_step},
    {"end-conference", STEPS, CALLS, AT(steps), "S", "REFER with method=BYE to the conference", 0,
     0, end_step},
    {"allow-at", STEPS, CALLS, AT(steps), "S:URI,...",
     "replace the allowed set: another offer, with a ticket that names these", 0, 0, allow_step},
    {"allow-method", WORD, CALLS, AT(allow_method), "reinvite|update",
     "how other keys are offered (default reinvite)", 0, 0, allow_method_words},
    {"rekey-at", STEPS, CALLS, AT(steps), "S", "take new keys by a ticket for the other side alone",
     0, 0, rekey_step},
    {"update-at", STEPS, CALLS, AT(steps), "S", "send a CSB update (RFC 6043 5.2)", 0, 0,
     update_step},
    {"supply-keys", FLAG, OUT | TICKET, AT(supply_keys), NULL,
     "ask for the right to put keys of our own into updates, and do", 0, 0, NULL},
    {"dtmf", STEPS, CALLS, AT(steps), "S:DIGITS", "press these keys then (RFC 4733)", 0, 0,
     dtmf_step},
    {"change-identity", STEPS, CALLS, AT(steps), "S:URI", "UPDATE with that From (RFC 4916)", 0, 0,
     identity_step},

    {"follow-refer", FLAG, ANSWER, AT(follow_refer), NULL,
     "take a REFER: check its ticket and call the conference it names", 0, 0, NULL},
    {"busy", FLAG, ANSWER, AT(busy), NULL, "refuse with 486", 0, 0, NULL},
    {"send-181", FLAG, ANSWER, AT(send_181), NULL, "say 181 before anything else", 0, 0, NULL},
    {"history-info", TEXT, ANSWER, AT(history_info), "VALUE", "put that History-Info into answers",
     0, 0, NULL},
    {"assert-identity", TEXT, SIP, AT(assert_identity), "URI",
     "P-Asserted-Identity of our answers, INVITE and REFER", 0, 0, NULL},
    {"no-transfer-resp", FLAG, ANSWER, AT(no_transfer_resp), NULL,
     "answer RTP/SAVP without a=key-mgmt", 0, 0, NULL},
    {"answer-plain", FLAG, ANSWER, AT(answer_plain), NULL, "answer RTP/AVP whatever was offered", 0,
     0, NULL},
    {"reliable", FLAG, ANSWER, AT(reliable), NULL,
     "answer in a reliable 183, with early media, then 200 without SDP", 0, 0, NULL},

    {"keymgmt", WORD, CALLS, AT(keymgmt), "mikey|sdes|none",
     "key management (default mikey; call and answer: sdes)", 0, 0, keymgmt_words},
    {"suite", SUITES, CALLS, AT(suites), "NAME,...",
     "SRTP suites, best first (default AES_CM_128_HMAC_SHA1_80)", 0, 0, NULL},
    {"kms", TEXT, KMS, AT(kms), "URL", "key management service", 0, 0, NULL},
    {"kms-uri", TEXT, KMS, AT(kms_uri), "URI", "its identity, sip:kms@...", 0, 0, NULL},
    {"kms-ca", TEXT, KMS, AT(kms_ca), "FILE", "certificates that it is checked against", 0, 0,
     NULL},
    {"kms-insecure", FLAG, KMS, AT(kms_insecure), NULL, "plain HTTP to other hosts than this one",
     0, 0, NULL},
    {"kms-user", TEXT, KMS, AT(kms_user), "B-TID", "answer the KMS's HTTP Digest challenge with it",
     0, 0, NULL},
    {"kms-password-file", TEXT, KMS, AT(kms_password_file), "FILE",
     "the password for it, on the first line (default: our key, in base64)", 0, 0, NULL},
    {"kms-cert", TEXT, KMS, AT(kms_cert), "FILE", "our certificate and key for the KMS, PEM", 0, 0,
     NULL},
    {"psk-id", TEXT, KMS, AT(psk_id), "NAME", "our name at the KMS", 0, 0, NULL},
    {"psk-file", TEXT, KMS, AT(psk_file), "FILE", "our key at the KMS, hex or base64:...", 0, 0,
     NULL},
    {"ticket-file", TEXT, OUT | TICKET | REFER, AT(ticket_file), "FILE",
     "ticket: where to keep it; else: use that one", 0, 0, NULL},
    {"for", TEXTS, TICKET | REFER, AT(ticket_for), "URI",
     "who may have it resolved; repeat it (default of refer: whom we ask, and --refer-to)", 0, 0,
     NULL},
    {"purpose", TEXTS, OUT | REFER | TICKET, AT(purposes), "create|join|allow|refer|TEXT",
     "what the ticket is good for; repeat it (default: what the verb needs)", 0, 0, NULL},
    {"valid-for", NUMBER, OUT | REFER | TICKET, AT(valid_for_s), "S",
     "how long (default: the KMS decides)", 1, 31536000, NULL},
    {"reusable", FLAG, OUT | TICKET, AT(reusable), NULL, "ask for a ticket that may be used again",
     0, 0, NULL},
    {"forge", WORD, OUT | REFER, AT(forge), "HOW",
     "spoil the offer: bad-mac, bad-vi, stolen-ticket, replay, expired, no-sdp-ids", 0, 0,
     forge_words},
    {"save-message", TEXT, OUT, AT(save_message), "FILE",
     "keep the TRANSFER_INIT that was sent, for --forge replay", 0, 0, NULL},
    {"message-file", TEXT, OUT, AT(message_file), "FILE", "what --forge replay sends", 0, 0, NULL},
    {"send-raw-sdp", TEXT, OUT, AT(raw_sdp), "FILE", "send these octets as the offer", 0, 0, NULL},

    {"codec", TEXTS, CALLS, AT(codecs), "PCMA|PCMU", "repeat it; best first (default both)", 0, 0,
     NULL},
    {"tone", TONES, CALLS, AT(tones), "HZ[:DBFS],...", "say this (default: silence)", 0, 0, NULL},
    {"level", DECIBEL, CALLS, AT(level_db), "DBFS", "level of tones without one (default -18)", 0,
     0, NULL},
    {"play", TEXT, CALLS, AT(play), "FILE", "say this WAV file, again and again", 0, 0, NULL},
    {"record", TEXT, CALLS, AT(record), "FILE", "write what is heard to this WAV file", 0, 0, NULL},
    {"rtp-port", NUMBER, CALLS, AT(rtp_port), "PORT", "even; RTCP takes the next (default any)", 0,
     65534, NULL},
    {"duration", SECONDS, CALLS, AT(duration_ms), "S", "hang up then", 0, 864000, NULL},
    {"hold-after", SECONDS, CALLS, AT(hold_after_ms), "S", "put the call on hold then", 0, 864000,
     NULL},
    {"resume-after", SECONDS, CALLS, AT(resume_after_ms), "S", "take it back then", 0, 864000,
     NULL},
    {"hold", WORD, CALLS, AT(hold), "sendonly|inactive", "how (default sendonly)", 0, 0,
     hold_words},

    {"listen-for", HERTZ, CALLS, AT(listen_for), "HZ,...", "report the level of these tones", 0, 0,
     NULL},
    {"expect-hear", EXPECT, CALLS, AT(expect_hear), "HZ:DBFS,...",
     "at least so loud for half of the time, else exit 4", 0, 0, NULL},
    {"expect-silent", EXPECT, CALLS, AT(expect_silent), "HZ:DBFS,...",
     "at most so loud for nine tenths of the time, else exit 4", 0, 0, NULL},
    {"measure-from", SECONDS, CALLS, AT(measure_from_ms), "S",
     "judge from then on, after the first sound (default 0.5)", 0, 864000, NULL},
    {"measure-for", SECONDS, CALLS, AT(measure_for_ms), "S", "and for so long", 0, 864000, NULL},
    {"report-every", SECONDS, CALLS, AT(report_every_ms), "S", "report levels and counters", 0,
     3600, NULL},
    {"json", FLAG, KMS | DECODE, AT(json), NULL, "one JSON object a line", 0, 0, NULL},
    {"quiet", FLAG, KMS, AT(quiet), NULL, "the final report alone", 0, 0, NULL},
    {"interactive", FLAG, CALLS, AT(interactive), NULL,
     "take commands from standard input: hold resume stats reset sleep refer remove end "
     "allow rekey update identity dtmf bye",
     0, 0, NULL},
};

#define AS(type, options, option) ((type *)G_STRUCT_MEMBER_P(options, (option)->offset))

static gboolean
bad_value(GError **error, const Option *option, const char *text, const char *expected)
{
    g_set_error(error, CLV_UA_OPTIONS_ERROR, 0, "--%s: '%s' found, %s expected", option->name, text,
                expected);
    return FALSE;
}

static gboolean
parse_double(const char *text, double *out)
{
    char *end = NULL;
    double value = g_ascii_strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(value))
        return FALSE;
    *out = value;
    return TRUE;
}

static gboolean
parse_hertz(const char *text, double *out)
{
    double hz;

    if (!parse_double(text, &hz) || hz < 20.0 || hz > 3900.0)
        return FALSE;
    *out = hz;
    return TRUE;
}

static gboolean
parse_db(const char *text, double *out)
{
    double db;

    if (!parse_double(text, &db) || db < -120.0 || db > 6.0)
        return FALSE;
    *out = db;
    return TRUE;
}

static gboolean
set_number(ClvUaOptions *options, const Option *option, const char *text, GError **error)
{
    g_autofree char *range =
        g_strdup_printf("%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, option->min, option->max);
    gint64 value;

    if (!g_ascii_string_to_signed(text, 10, option->min, option->max, &value, NULL))
        return bad_value(error, option, text, range);
    *AS(gint64, options, option) = value;
    return TRUE;
}

static gboolean
set_seconds(ClvUaOptions *options, const Option *option, const char *text, GError **error)
{
    double value;

    if (!parse_double(text, &value) || value < (double)option->min || value > (double)option->max)
        return bad_value(error, option, text, "seconds");
    *AS(gint64, options, option) = llrint(value * 1000.0);
    return TRUE;
}

static gboolean
set_word(ClvUaOptions *options, const Option *option, const char *text, GError **error)
{
    for (int i = 0; option->words[i] != NULL; i++)
        if (strcmp(option->words[i], text) == 0) {
            *AS(int, options, option) = i;
            return TRUE;
        }
    return bad_value(error, option, text, option->argument);
}

/* One "HZ:DBFS"; without the second half @db stays as it is, unless it is wanted. */
static gboolean
split_tone(const char *text, gboolean wants_db, double *hz, double *db)
{
    g_auto(GStrv) halves = g_strsplit(text, ":", 2);

    if (halves[0] == NULL || !parse_hertz(halves[0], hz))
        return FALSE;
    if (halves[1] == NULL)
        return !wants_db;
    return parse_db(halves[1], db);
}

static gboolean
append_item(ClvUaOptions *options, const Option *option, const char *text)
{
    GArray *array = *AS(GArray *, options, option);

    switch (option->kind) {
    case TONES: {
        ClvUaTone tone = {0.0, NAN};

        if (!split_tone(text, FALSE, &tone.hz, &tone.dbfs))
            return FALSE;
        g_array_append_val(array, tone);
        return TRUE;
    }
    case EXPECT: {
        ClvUaExpect expect = {0};

        if (!split_tone(text, TRUE, &expect.hz, &expect.db))
            return FALSE;
        g_array_append_val(array, expect);
        return TRUE;
    }
    case HERTZ: {
        double hz;

        if (!parse_hertz(text, &hz))
            return FALSE;
        g_array_append_val(array, hz);
        return TRUE;
    }
    default: {
        ClvSrtpSuite suite = clv_ua_suite_parse(text);

        if (suite == CLV_SRTP_NONE)
            return FALSE;
        g_array_append_val(array, suite);
        return TRUE;
    }
    }
}

static gboolean
set_list(ClvUaOptions *options, const Option *option, const char *text, GError **error)
{
    g_auto(GStrv) items = g_strsplit(text, ",", 64);

    for (guint i = 0; items[i] != NULL; i++)
        if (!append_item(options, option, items[i]))
            return bad_value(error, option, items[i], option->argument);
    return TRUE;
}

static void
free_step(gpointer data)
{
    g_free(((ClvUaStep *)data)->argument);
    g_free(data);
}

static gboolean
add_step(ClvUaOptions *options, const Option *option, const char *text, GError **error)
{
    gboolean takes_text = option->words[1] == NULL;
    const char *colon = strchr(text, ':');
    g_autofree char *seconds =
        g_strndup(text, colon != NULL ? (gsize)(colon - text) : strlen(text));
    ClvUaStep *step;
    double at;

    if (takes_text != (colon != NULL && colon[1] != '\0') || (!takes_text && colon != NULL) ||
        !parse_double(seconds, &at) || at < 0.0 || at > 864000.0)
        return bad_value(error, option, text, option->argument);
    step = g_new0(ClvUaStep, 1);
    step->at_ms = llrint(at * 1000.0);
    step->command = option->words[0];
    step->argument = g_strdup(takes_text ? colon + 1 : "");
    g_ptr_array_add(*AS(GPtrArray *, options, option), step);
    return TRUE;
}

static gboolean
set_option(ClvUaOptions *options, const Option *option, const char *text, GError **error)
{
    switch (option->kind) {
    case FLAG:
        *AS(gboolean, options, option) = TRUE;
        return TRUE;
    case TEXT:
        g_free(*AS(char *, options, option));
        *AS(char *, options, option) = g_strdup(text);
        return TRUE;
    case TEXTS:
        g_ptr_array_add(*AS(GPtrArray *, options, option), g_strdup(text));
        return TRUE;
    case NUMBER:
        return set_number(options, option, text, error);
    case SECONDS:
        return set_seconds(options, option, text, error);
    case DECIBEL:
        if (!parse_db(text, AS(double, options, option)))
            return bad_value(error, option, text, "-120 to 6");
        return TRUE;
    case WORD:
        return set_word(options, option, text, error);
    case STEPS:
        return add_step(options, option, text, error);
    default:
        return set_list(options, option, text, error);
    }
}

static GArray *
array_of(gsize size)
{
    return g_array_new(FALSE, FALSE, (guint)size);
}

static ClvUaOptions *
with_defaults(void)
{
    ClvUaOptions *o = g_new0(ClvUaOptions, 1);

    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        if (table[i].kind == TEXTS)
            *AS(GPtrArray *, o, &table[i]) = g_ptr_array_new_with_free_func(g_free);
    o->steps = g_ptr_array_new_with_free_func(free_step);
    o->refer_timeout_ms = 60000;
    o->suites = array_of(sizeof(ClvSrtpSuite));
    o->tones = array_of(sizeof(ClvUaTone));
    o->listen_for = array_of(sizeof(double));
    o->expect_hear = array_of(sizeof(ClvUaExpect));
    o->expect_silent = array_of(sizeof(ClvUaExpect));
    o->transport = -1;
    o->keymgmt = -1;
    o->session_expires_s = 1800;
    o->answer_timeout_ms = 60000;
    o->cancel_after_ms = -1;
    o->level_db = -18.0;
    o->duration_ms = -1;
    o->hold_after_ms = -1;
    o->resume_after_ms = -1;
    o->measure_from_ms = 500;
    o->measure_for_ms = -1;
    return o;
}

void
clv_ua_options_free(ClvUaOptions *options)
{
    if (options == NULL)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        const Option *option = &table[i];

        if (option->kind == TEXT)
            g_free(*AS(char *, options, option));
        else if (option->kind == TEXTS)
            g_ptr_array_unref(*AS(GPtrArray *, options, option));
        else if (option->kind >= TONES)
            g_array_unref(*AS(GArray *, options, option));
    }
    g_ptr_array_unref(options->steps);
    g_free(options->operand);
    g_free(options);
}

static const Option *
find_option(const char *name, gsize len)
{
    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
            return &table[i];
    return NULL;
}

static gboolean
usage(GError **error, const char *format, const char *what)
{
    g_autofree char *text = g_strdup(what != NULL ? what : "");

    g_set_error(error, CLV_UA_OPTIONS_ERROR, 0, "%s%s", format, text);
    return FALSE;
}

/* Takes one option, and its value from the next word where needed. */
static gboolean
take_option(ClvUaOptions *options, const char *const *argv, int argc, int *at, GError **error)
{
    const char *word = argv[*at] + 2;
    const char *equals = strchr(word, '=');
    const Option *option =
        find_option(word, equals != NULL ? (gsize)(equals - word) : strlen(word));
    const char *value = equals != NULL ? equals + 1 : NULL;

    if (option == NULL)
        return usage(error, "unknown option ", argv[*at]);
    if ((option->verbs & 1u << options->verb) == 0) {
        g_set_error(error, CLV_UA_OPTIONS_ERROR, 0, "--%s means nothing to '%s'", option->name,
                    verb_names[options->verb]);
        return FALSE;
    }
    if (option->kind == FLAG && value != NULL)
        return usage(error, "takes no value: --", option->name);
    if (option->kind != FLAG && value == NULL) {
        if (*at + 1 >= argc)
            return usage(error, "a value is missing after --", option->name);
        value = argv[++*at];
    }
    return set_option(options, option, value, error);
}

static gboolean
needs(GError **error, const ClvUaOptions *options, const char *what, gboolean is_there)
{
    if (is_there)
        return TRUE;
    g_set_error(error, CLV_UA_OPTIONS_ERROR, 0, "'%s' needs %s", verb_names[options->verb], what);
    return FALSE;
}

static gboolean
check_codecs(const ClvUaOptions *o, GError **error)
{
    for (guint i = 0; i < o->codecs->len; i++) {
        const char *name = g_ptr_array_index(o->codecs, i);

        if (strcmp(name, "PCMA") != 0 && strcmp(name, "PCMU") != 0)
            return usage(error, "--codec: expected PCMA or PCMU, found ", name);
    }
    return TRUE;
}

/* A ticket comes from the KMS, which needs all of these, or from a file. */
static gboolean
check_kms(const ClvUaOptions *o, GError **error)
{
    gboolean from_kms = o->kms != NULL || o->verb == CLV_UA_TICKET;

    if (from_kms)
        return needs(error, o, "--kms", o->kms != NULL) &&
               needs(error, o, "--kms-uri", o->kms_uri != NULL) &&
               needs(error, o, "--psk-id", o->psk_id != NULL) &&
               needs(error, o, "--psk-file", o->psk_file != NULL) &&
               needs(error, o, "--identity", o->identity != NULL);
    return o->keymgmt != CLV_UA_MIKEY || o->raw_sdp != NULL || o->forge == CLV_UA_FORGE_REPLAY ||
           needs(error, o, "--kms and its companions, or --ticket-file", o->ticket_file != NULL);
}

static gboolean
check_headers(const ClvUaOptions *o, GError **error)
{
    for (guint i = 0; i < o->headers->len; i++) {
        const char *line = g_ptr_array_index(o->headers, i);
        const char *colon = strchr(line, ':');

        if (colon == NULL || colon == line || strpbrk(line, "\r\n") != NULL ||
            strcspn(line, " \t") < (gsize)(colon - line))
            return usage(error, "--header: expected 'NAME: VALUE', found ", line);
    }
    return TRUE;
}

static gboolean
check_together(const ClvUaOptions *o, GError **error)
{
    switch (o->verb) {
    case CLV_UA_CREATE:
        if (!needs(error, o, "--factory", o->factory != NULL))
            return FALSE;
        break;
    case CLV_UA_JOIN:
        if (!needs(error, o, "the conference's URI", o->operand != NULL))
            return FALSE;
        break;
    case CLV_UA_CALL:
        if (!needs(error, o, "a URI", o->operand != NULL))
            return FALSE;
        break;
    case CLV_UA_REFER:
        if (!needs(error, o, "the URI of whom is asked", o->operand != NULL) ||
            !needs(error, o, "--refer-to", o->refer_to != NULL))
            return FALSE;
        break;
    case CLV_UA_TICKET:
        if (!needs(error, o, "--ticket-file", o->ticket_file != NULL) ||
            !needs(error, o, "--for", o->ticket_for->len > 0))
            return FALSE;
        break;
    default:
        break;
    }
    if (o->verb == CLV_UA_DECODE)
        return TRUE;
    if (!check_kms(o, error) || !check_codecs(o, error) || !check_headers(o, error))
        return FALSE;
    if (o->registers && (o->proxy == NULL || o->identity == NULL))
        return usage(error, "--register needs --proxy and --identity", NULL);
    if ((o->user == NULL) != (o->password_file == NULL))
        return usage(error, "--user and --password-file go together", NULL);
    if (o->kms_password_file != NULL && o->kms_user == NULL)
        return usage(error, "--kms-password-file needs --kms-user", NULL);
    if (o->tones->len > 0 && o->play != NULL)
        return usage(error, "either --tone or --play", NULL);
    if (o->rtp_port % 2 != 0)
        return usage(error, "--rtp-port must be even", NULL);
    if (o->forge != CLV_UA_FORGE_NONE && o->keymgmt != CLV_UA_MIKEY)
        return usage(error, "--forge needs --keymgmt mikey", NULL);
    if (o->forge == CLV_UA_FORGE_REPLAY && o->message_file == NULL)
        return usage(error, "--forge replay needs --message-file", NULL);
    if (o->no_transfer_resp && o->keymgmt != CLV_UA_MIKEY)
        return usage(error, "--no-transfer-resp needs --keymgmt mikey", NULL);
    if (o->resume_after_ms >= 0 && o->hold_after_ms < 0)
        return usage(error, "--resume-after needs --hold-after", NULL);
    return TRUE;
}

static void
add_default_text(GPtrArray *array, const char *text)
{
    g_ptr_array_add(array, g_strdup(text));
}

static void
fill_in(ClvUaOptions *o)
{
    static const ClvSrtpSuite usual = CLV_SRTP_AES_CM_128_HMAC_SHA1_80;

    if (o->keymgmt < 0)
        o->keymgmt = o->verb == CLV_UA_CALL || o->verb == CLV_UA_ANSWER              ? CLV_UA_SDES
                     : o->verb == CLV_UA_REFER && o->refer_body == CLV_UA_REFER_NONE ? CLV_UA_CLEAR
                                                                                     : CLV_UA_MIKEY;
    if (o->busy && o->answer_status == 0)
        o->answer_status = 486;
    if (o->suites->len == 0)
        g_array_append_val(o->suites, usual);
    if (o->codecs->len == 0) {
        add_default_text(o->codecs, "PCMA");
        add_default_text(o->codecs, "PCMU");
    }
    for (guint i = 0; i < o->tones->len; i++) {
        ClvUaTone *tone = &g_array_index(o->tones, ClvUaTone, i);

        if (isnan(tone->dbfs))
            tone->dbfs = o->level_db;
    }
    /* what is judged is also listened for; each tone once */
    for (guint list = 0; list < 2; list++) {
        const GArray *expects = list == 0 ? o->expect_hear : o->expect_silent;

        for (guint i = 0; i < expects->len; i++) {
            double hz = g_array_index(expects, ClvUaExpect, i).hz;
            gboolean known = FALSE;

            for (guint k = 0; k < o->listen_for->len; k++)
                known |= fabs(g_array_index(o->listen_for, double, k) - hz) < 1e-6;
            if (!known)
                g_array_append_val(o->listen_for, hz);
        }
    }
}

static gboolean
parse_verb(const char *word, ClvUaVerb *out, GError **error)
{
    if (word == NULL || strcmp(word, "--help") == 0 || strcmp(word, "help") == 0 ||
        strcmp(word, "-h") == 0) {
        *out = CLV_UA_HELP;
        return word != NULL || usage(error, "a verb is missing; try --help", NULL);
    }
    if (strcmp(word, "--version") == 0) {
        *out = CLV_UA_VERSION;
        return TRUE;
    }
    for (guint i = 0; verb_names[i] != NULL; i++)
        if (strcmp(verb_names[i], word) == 0) {
            *out = (ClvUaVerb)i;
            return TRUE;
        }
    return usage(error, "unknown verb ", word);
}

static gboolean
parse_words(ClvUaOptions *options, int argc, const char *const *argv, GError **error)
{
    gboolean takes_operand = options->verb == CLV_UA_JOIN || options->verb == CLV_UA_CALL ||
                             options->verb == CLV_UA_REFER || options->verb == CLV_UA_DECODE;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            options->verb = CLV_UA_HELP;
            return TRUE;
        }
        if (g_str_has_prefix(argv[i], "--")) {
            if (!take_option(options, argv, argc, &i, error))
                return FALSE;
        } else if (takes_operand && options->operand == NULL) {
            options->operand = g_strdup(argv[i]);
        } else {
            return usage(error, "what is this: ", argv[i]);
        }
    }
    fill_in(options);
    return check_together(options, error);
}

ClvUaOptions *
clv_ua_options_parse(int argc, const char *const *argv, GError **error)
{
    ClvUaOptions *options = with_defaults();

    if (!parse_verb(argc > 1 ? argv[1] : NULL, &options->verb, error) ||
        (options->verb < CLV_UA_HELP && !parse_words(options, argc, argv, error))) {
        clv_ua_options_free(options);
        return NULL;
    }
    return options;
}

char *
clv_ua_options_help(void)
{
    GString *text = g_string_new(
        "conclave-ua - a participant for testers\n"
        "\n"
        "  conclave-ua create --factory URI [option]...   create a conference and stay in it\n"
        "  conclave-ua join CONFERENCE-URI [option]...    dial into one\n"
        "  conclave-ua call URI [option]...               call anybody\n"
        "  conclave-ua answer [option]...                 wait for a call and answer it\n"
        "  conclave-ua refer URI --refer-to URI [option]...  ask URI to call or to remove "
        "somebody\n"
        "  conclave-ua ticket --for URI [option]...       get a ticket and keep it in a file\n"
        "  conclave-ua decode [FILE|-|BASE64] [--json]    show the MIKEY messages in a text\n"
        "\n"
        "exit status: 0 good, 1 failed, 2 usage, 3 refused, 4 media not as expected,\n"
        "5 key management failed\n\n");

    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        const Option *option = &table[i];
        g_autofree char *head =
            g_strdup_printf("--%s%s%s", option->name, option->argument != NULL ? " " : "",
                            option->argument != NULL ? option->argument : "");

        if (strlen(head) > 28)
            g_string_append_printf(text, "  %s\n  %-28s %s\n", head, "", option->help);
        else
            g_string_append_printf(text, "  %-28s %s\n", head, option->help);
    }
    return g_string_free(text, FALSE);
}
