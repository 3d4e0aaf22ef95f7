# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-keymgmt-sdes.la
libclv_keymgmt_sdes_la_SOURCES = %D%/crypto-line.h %D%/crypto-line.c \
	%D%/sdes-private.h %D%/offerer.c %D%/plugin.c
libclv_keymgmt_sdes_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
EXTRA_DIST += %D%/README.md

check_PROGRAMS += tests/unit/test-sdes
TESTS += tests/unit/test-sdes
tests_unit_test_sdes_SOURCES = tests/unit/test-sdes.c
tests_unit_test_sdes_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/plugins/keymgmt/sdes
tests_unit_test_sdes_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_test_sdes_LDADD = libclv-keymgmt.la libclv-base.la $(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-sdes-call
TESTS += tests/exchange/test-sdes-call
tests_exchange_test_sdes_call_SOURCES = tests/exchange/test-sdes-call.c
tests_exchange_test_sdes_call_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_exchange_test_sdes_call_LDADD = libclv-keymgmt.la libclv-base.la $(TEST_LIBS)
