# SPDX-License-Identifier: Apache-2.0
# The configuration is a library of its own: conclavectl checks configurations, too.
noinst_LTLIBRARIES += libclv-config.la
libclv_config_la_SOURCES = %D%/config.h %D%/config.c
libclv_config_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
libclv_config_la_LIBADD = libclv-base.la

# Whoever links it needs the rooms whose files it reads; only what reads files comes along.
noinst_LTLIBRARIES += libclv-check.la
libclv_check_la_SOURCES = %D%/check.h %D%/check.c %D%/explain.h %D%/explain.c %D%/papers.h %D%/papers.c
libclv_check_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
CHECK_LIBS = libclv-check.la libclv-config.la libclv-policy.la libclv-sip.la libclv-kms.la libclv-prompts.la \
	libmikey.la libclv-base.la

sbin_PROGRAMS += conclaved
conclaved_SOURCES = %D%/main.c %D%/hub.h %D%/hub-private.h %D%/hub.c %D%/rooms.c \
	%D%/start.c %D%/ask.c %D%/announce.c %D%/call.c %D%/dial.c %D%/refer.c %D%/pin.c %D%/store.c %D%/keys.c \
	%D%/console.c %D%/figures.c %D%/watch.h %D%/watch.c
conclaved_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) $(SYSTEMD_CFLAGS)
conclaved_LDADD = libclv-check.la libclv-config.la libclv-control.la libclv-report.la libclv-metrics.la \
	libclv-conference.la libclv-policy.la \
	libclv-keymgmt.la libclv-sip.la libclv-media.la libclv-kms.la libmikey.la libclv-base.la \
	$(SOFIA_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(SRTP_LIBS) $(CURL_LIBS) $(MHD_LIBS) $(GLIB_LIBS) \
	$(SYSTEMD_LIBS)

dist_man_MANS += man/conclaved.8 man/conclavectl.1 man/conclave.conf.5

check_PROGRAMS += tests/unit/test-config
TESTS += tests/unit/test-config
tests_unit_test_config_SOURCES = tests/unit/test-config.c
tests_unit_test_config_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_config_LDADD = libclv-config.la libclv-base.la $(TEST_LIBS)

# Calls with tickets at a rate: for the soak test and the bench of calls.
check_PROGRAMS += tests/bench/call-load
EXTRA_DIST += tests/bench/bench-calls.py
tests_bench_call_load_SOURCES = tests/bench/call-load.c src/ua/keys.h src/ua/keys.c src/ua/keys-renew.c
tests_bench_call_load_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_call_load_LDADD = libclv-ua.la libclv-kms.la libclv-sip.la libmikey.la libclv-base.la \
	$(SOFIA_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(GLIB_LIBS)
