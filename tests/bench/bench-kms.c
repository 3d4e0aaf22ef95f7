/* SPDX-License-Identifier: Apache-2.0 */
/* How many tickets one core of a KMS resolves: the logic alone, over HTTP keep-alive, over TLS.
 *
 *   2 clients, a connection each --HTTP(S)--> 1 thread of the server, which is what is measured
 *
 * On a machine that has other things to do, the time on the clock says little; so the rate of one
 * core is told from the processor time that the server took. Latency is what a client waits.
 */
#include "config.h"

#include <curl/curl.h>
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "unit/kms-parties.h"

#define N_LOGIC 20000u
#define N_CLIENTS 2u
#define N_EACH 5000u

static double
seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- what is asked ---- */

typedef struct World {
    ClvKmsService *service;
    MikeyGrant *grant;
    MikeyTransfer *transfer;
    MikeyOffer *offer;
} World;

static World
world_new(void)
{
    g_autoptr(Wanted) wanted = wanted_new(BOB);
    gint64 now_us = g_get_real_time();
    World world = {.service = parties_service(NULL)};

    world.grant = party_grant(world.service, "alice", ALICE, wanted, now_us);
    world.transfer = party_call(world.grant, BOB, now_us);
    world.offer = party_offer(mikey_transfer_octets(world.transfer), now_us);
    return world;
}

static void
world_clear(World *world)
{
    mikey_offer_free(world->offer);
    mikey_transfer_free(world->transfer);
    mikey_grant_free(world->grant);
    clv_kms_service_free(world->service);
}

static MikeyResolve **
make_resolves(const World *world, guint n)
{
    MikeyResolve **resolves = g_new0(MikeyResolve *, n);

    for (guint i = 0; i < n; i++)
        resolves[i] = party_resolve(world->offer, "bob", BOB, g_get_real_time());
    return resolves;
}

static void
free_resolves(MikeyResolve **resolves, guint n)
{
    for (guint i = 0; i < n; i++)
        mikey_resolve_free(resolves[i]);
    g_free(resolves);
}

static void
report(gboolean json, const char *what, double per_s, double p50_us, double p99_us)
{
    if (json)
        printf("{\"bench\":\"kms-%s\",\"resolves_per_s_and_core\":%.0f,\"p50_us\":%.0f,"
               "\"p99_us\":%.0f}\n",
               what, per_s, p50_us, p99_us);
    else
        printf("KMS %-6s %8.0f resolves/s on one core, p50 %5.0f us, p99 %5.0f us\n", what, per_s,
               p50_us, p99_us);
}

static gint
compare(gconstpointer a, gconstpointer b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference < 0 ? -1 : difference > 0;
}

static void
report_times(gboolean json, const char *what, double cpu_s, double *us, guint n)
{
    qsort(us, n, sizeof *us, compare);
    report(json, what, n / cpu_s, us[n / 2], us[n - n / 100 - 1]);
}

/* ---- the logic ---- */

static void
bench_logic(gboolean json)
{
    World world = world_new();
    MikeyResolve **resolves = make_resolves(&world, N_LOGIC);
    g_autofree double *us = g_new(double, N_LOGIC);
    double begun = seconds(CLOCK_THREAD_CPUTIME_ID);
    double cpu_s;

    for (guint i = 0; i < N_LOGIC; i++) {
        double at = seconds(CLOCK_MONOTONIC);
        ClvKmsDecision decision;
        g_autoptr(GByteArray) answer =
            service_ask(world.service, CLV_KMS_TICKET_RESOLVE, mikey_resolve_octets(resolves[i]),
                        g_get_real_time(), &decision);

        us[i] = (seconds(CLOCK_MONOTONIC) - at) * 1e6;
        if (!decision.granted)
            g_error("%s", decision.rule);
    }
    cpu_s = seconds(CLOCK_THREAD_CPUTIME_ID) - begun;
    report_times(json, "logic", cpu_s, us, N_LOGIC);
    free_resolves(resolves, N_LOGIC);
    world_clear(&world);
}

/* ---- HTTP ---- */

typedef struct Client {
    const char *url, *ca;
    MikeyResolve **resolves;
    double *us;
    double cpu_s;
} Client;

static size_t
take(char *data, size_t size, size_t n, void *user)
{
    g_byte_array_append(user, (const guint8 *)data, (guint)(size * n));
    return size * n;
}

static void
post(CURL *curl, MikeyBytes octets, GByteArray *answer)
{
    g_byte_array_set_size(answer, 0);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)octets.len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, octets.data);
    if (curl_easy_perform(curl) != CURLE_OK || answer->len < 2 ||
        answer->data[1] != MIKEY_RESOLVE_RESP)
        g_error("no resolution came back");
}

static gpointer
run_client(gpointer data)
{
    Client *client = data;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/mikey");
    g_autofree char *url = g_strconcat(client->url, "?requesttype=ticketresolve", NULL);
    g_autoptr(GByteArray) answer = g_byte_array_new();
    CURL *curl = curl_easy_init();

    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    for (guint i = 0; i < N_EACH; i++) {
        double at = seconds(CLOCK_MONOTONIC);

        post(curl, mikey_resolve_octets(client->resolves[i]), answer);
        client->us[i] = (seconds(CLOCK_MONOTONIC) - at) * 1e6;
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    client->cpu_s = seconds(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void
bench_http(gboolean json, const char *what, const char *cert, const char *key)
{
    World world = world_new();
    ClvKmsServerConfig config = {
        .listen = "127.0.0.1:0", .threads = 1, .cert_file = cert, .key_file = key};
    g_autoptr(ClvKmsServer) server = clv_kms_server_new(&config, world.service, NULL);
    g_autofree double *us = g_new(double, N_CLIENTS *N_EACH);
    Client clients[N_CLIENTS];
    GThread *threads[N_CLIENTS];
    double begun, cpu_s;

    for (guint i = 0; i < N_CLIENTS; i++)
        clients[i] = (Client){clv_kms_server_url(server), cert, make_resolves(&world, N_EACH),
                              us + i * N_EACH, 0};
    begun = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (guint i = 0; i < N_CLIENTS; i++)
        threads[i] = g_thread_new("client", run_client, &clients[i]);
    for (guint i = 0; i < N_CLIENTS; i++)
        g_thread_join(threads[i]);
    cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - begun;
    for (guint i = 0; i < N_CLIENTS; i++) {
        cpu_s -= clients[i].cpu_s;
        free_resolves(clients[i].resolves, N_EACH);
    }
    report_times(json, what, cpu_s, us, N_CLIENTS * N_EACH);
    g_clear_pointer(&server, clv_kms_server_free);
    world_clear(&world);
}

/* ---- a certificate ---- */

static void
write_certificate(const char *cert_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    FILE *file;

    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"kms", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, names, -1);
    X509_sign(cert, key, EVP_sha256());
    file = fopen(cert_path, "w");
    PEM_write_X509(file, cert);
    fclose(file);
    file = fopen(key_path, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    g_chmod(key_path, 0600);
    X509_EXTENSION_free(names);
    X509_free(cert);
    EVP_PKEY_free(key);
}

int
main(int argc, char **argv)
{
    gboolean json = argc > 1 && strcmp(argv[1], "--json") == 0;
    g_autofree char *folder = g_dir_make_tmp("bench-kms-XXXXXX", NULL);
    g_autofree char *cert = g_build_filename(folder, "cert.pem", NULL);
    g_autofree char *key = g_build_filename(folder, "key.pem", NULL);

    curl_global_init(CURL_GLOBAL_ALL);
    write_certificate(cert, key);
    bench_logic(json);
    bench_http(json, "HTTP", NULL, NULL);
    bench_http(json, "HTTPS", cert, key);
    g_unlink(cert);
    g_unlink(key);
    g_rmdir(folder);
    return 0;
}
