# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-base.la
libclv_base_la_SOURCES = %D%/secret.h %D%/secret.c %D%/nonce.h %D%/nonce.c %D%/replay.h %D%/replay.c \
	%D%/identity.h %D%/identity.c %D%/id.h %D%/id.c %D%/ring.h %D%/ring.c %D%/log.h %D%/log.c \
	%D%/papers.h %D%/papers.c %D%/option.h %D%/option.c %D%/ini.c src/conference/vocabulary.h
libclv_base_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
libclv_base_la_LIBADD = $(GLIB_LIBS) $(CRYPTO_LIBS)

base_tests = tests/unit/test-secret tests/unit/test-replay tests/unit/test-identity \
	tests/unit/test-id tests/unit/test-ring tests/unit/test-log tests/unit/test-option
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)

BASE_TEST_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
BASE_TEST_LDADD = libclv-base.la $(TEST_LIBS)
tests_unit_test_secret_SOURCES = tests/unit/test-secret.c
tests_unit_test_secret_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_secret_LDADD = $(BASE_TEST_LDADD)
tests_unit_test_replay_SOURCES = tests/unit/test-replay.c
tests_unit_test_replay_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_replay_LDADD = $(BASE_TEST_LDADD)
tests_unit_test_identity_SOURCES = tests/unit/test-identity.c
tests_unit_test_identity_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_identity_LDADD = $(BASE_TEST_LDADD)
tests_unit_test_id_SOURCES = tests/unit/test-id.c
tests_unit_test_id_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_id_LDADD = $(BASE_TEST_LDADD)
tests_unit_test_ring_SOURCES = tests/unit/test-ring.c
tests_unit_test_ring_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_ring_LDADD = $(BASE_TEST_LDADD)
tests_unit_test_log_SOURCES = tests/unit/test-log.c
tests_unit_test_log_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_log_LDADD = $(BASE_TEST_LDADD)
tests_unit_test_option_SOURCES = tests/unit/test-option.c
tests_unit_test_option_CFLAGS = $(BASE_TEST_CFLAGS)
tests_unit_test_option_LDADD = $(BASE_TEST_LDADD)
