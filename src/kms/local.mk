# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-kms.la
libclv_kms_la_SOURCES = %D%/kms.h %D%/terminal.h %D%/http.h %D%/http.c %D%/target.h %D%/target.c %D%/client.c %D%/terminal.c \
	%D%/keyfile.h %D%/keyfile.c %D%/keyload.h %D%/keyset.c %D%/keycheck.c %D%/keyrules.c %D%/keyedit.c %D%/memory.h %D%/memory.c %D%/ticket-service.c \
	%D%/handling.h %D%/asker.c %D%/granting.c %D%/resolving.c %D%/modes.c %D%/announcing.c %D%/service.c \
	%D%/serve.c %D%/wire.h %D%/wire.c
# The service: what it keeps over a restart, limits, records
libclv_kms_la_SOURCES += %D%/tpk.h %D%/tpk.c %D%/keeper.h %D%/keeper.c %D%/rate.h %D%/rate.c \
	%D%/audit.h %D%/audit.c %D%/metrics.h %D%/metrics.c %D%/crowd.h %D%/crowd.c \
	%D%/proof.h %D%/proof.c %D%/digest.h %D%/digest.c %D%/roster.h %D%/roster.c %D%/listing.h %D%/listing.c \
	%D%/relay.h %D%/relay.c
libclv_kms_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) $(SSL_CFLAGS) $(CURL_CFLAGS) $(MHD_CFLAGS) \
	$(GNUTLS_CFLAGS)
libclv_kms_la_LIBADD = libclv-base.la libmikey.la $(GLIB_LIBS) $(CRYPTO_LIBS) $(CURL_LIBS) \
	$(MHD_LIBS) $(GNUTLS_LIBS) $(SSL_LIBS)

sbin_PROGRAMS += conclave-kms
conclave_kms_SOURCES = %D%/kms-main.c
conclave_kms_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) $(SYSTEMD_CFLAGS)
conclave_kms_LDADD = libclv-kms.la libclv-base.la libmikey.la $(GLIB_LIBS) $(CRYPTO_LIBS) \
	$(SYSTEMD_LIBS)


dist_man_MANS += man/conclave-kms.8 man/conclave-kms-keys.5

kms_tests = tests/unit/test-keyfile tests/unit/test-ticket-service tests/integration/test-kms \
	tests/integration/test-kms-client
kms_tests += tests/unit/test-keeper tests/integration/test-kms-limits
check_PROGRAMS += $(kms_tests)
TESTS += $(kms_tests)
KMS_PARTIES = tests/unit/kms-parties.h tests/unit/kms-parties.c
KMS_TEST_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) -I$(top_srcdir)/tests
KMS_TEST_LDADD = libclv-kms.la libclv-base.la libmikey.la $(TEST_LIBS)
tests_unit_test_ticket_service_SOURCES = tests/unit/test-ticket-service.c $(KMS_PARTIES)
tests_unit_test_ticket_service_CFLAGS = $(KMS_TEST_CFLAGS)
tests_unit_test_ticket_service_LDADD = $(KMS_TEST_LDADD)
tests_unit_test_keyfile_SOURCES = tests/unit/test-keyfile.c
tests_unit_test_keyfile_CFLAGS = $(KMS_TEST_CFLAGS)
tests_unit_test_keyfile_LDADD = $(KMS_TEST_LDADD)
tests_integration_test_kms_limits_SOURCES = tests/integration/test-kms-limits.c $(KMS_PARTIES)
tests_integration_test_kms_limits_CFLAGS = $(KMS_TEST_CFLAGS) $(CURL_CFLAGS) $(SSL_CFLAGS)
tests_integration_test_kms_limits_LDADD = $(KMS_TEST_LDADD) $(CURL_LIBS) $(SSL_LIBS)
tests_unit_test_keeper_SOURCES = tests/unit/test-keeper.c $(KMS_PARTIES)
tests_unit_test_keeper_CFLAGS = $(KMS_TEST_CFLAGS)
tests_unit_test_keeper_LDADD = $(KMS_TEST_LDADD)
tests_integration_test_kms_SOURCES = tests/integration/test-kms.c $(KMS_PARTIES)
tests_integration_test_kms_CFLAGS = $(KMS_TEST_CFLAGS) $(SSL_CFLAGS)
tests_integration_test_kms_LDADD = $(KMS_TEST_LDADD) $(SSL_LIBS)
tests_integration_test_kms_client_SOURCES = tests/integration/test-kms-client.c
tests_integration_test_kms_client_CFLAGS = $(KMS_TEST_CFLAGS)
tests_integration_test_kms_client_LDADD = $(KMS_TEST_LDADD)
check_PROGRAMS += tests/unit/test-kms-modes
TESTS += tests/unit/test-kms-modes
tests_unit_test_kms_modes_SOURCES = tests/unit/test-kms-modes.c $(KMS_PARTIES)
tests_unit_test_kms_modes_CFLAGS = $(KMS_TEST_CFLAGS)
tests_unit_test_kms_modes_LDADD = $(KMS_TEST_LDADD)
check_PROGRAMS += tests/unit/test-kms-groups
TESTS += tests/unit/test-kms-groups
tests_unit_test_kms_groups_SOURCES = tests/unit/test-kms-groups.c $(KMS_PARTIES)
tests_unit_test_kms_groups_CFLAGS = $(KMS_TEST_CFLAGS)
tests_unit_test_kms_groups_LDADD = $(KMS_TEST_LDADD)
check_PROGRAMS += tests/integration/test-kms-list
TESTS += tests/integration/test-kms-list
tests_integration_test_kms_list_SOURCES = tests/integration/test-kms-list.c $(KMS_PARTIES) \
	$(KMS_PKI)
tests_integration_test_kms_list_CFLAGS = $(KMS_TEST_CFLAGS) $(CURL_CFLAGS) $(SSL_CFLAGS)
tests_integration_test_kms_list_LDADD = $(KMS_TEST_LDADD) $(CURL_LIBS) $(SSL_LIBS)
check_PROGRAMS += tests/integration/test-kms-peers
TESTS += tests/integration/test-kms-peers
KMS_PKI = tests/integration/kms-pki.h tests/integration/kms-pki.c
tests_integration_test_kms_peers_SOURCES = tests/integration/test-kms-peers.c $(KMS_PARTIES) $(KMS_PKI)
tests_integration_test_kms_peers_CFLAGS = $(KMS_TEST_CFLAGS) $(SSL_CFLAGS) $(CURL_CFLAGS)
tests_integration_test_kms_peers_LDADD = $(KMS_TEST_LDADD) $(SSL_LIBS) $(CURL_LIBS)
check_PROGRAMS += tests/unit/test-kms-relay
TESTS += tests/unit/test-kms-relay
tests_unit_test_kms_relay_SOURCES = tests/unit/test-kms-relay.c $(KMS_PARTIES)
tests_unit_test_kms_relay_CFLAGS = $(KMS_TEST_CFLAGS)
tests_unit_test_kms_relay_LDADD = $(KMS_TEST_LDADD)
