# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-keymgmt.la
libclv_keymgmt_la_SOURCES = %D%/keymgmt.h %D%/schemes.h %D%/registry.c %D%/choose.c %D%/output.c
libclv_keymgmt_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
libclv_keymgmt_la_LIBADD = libclv-keymgmt-mikey-ticket.la libclv-keymgmt-sdes.la

check_PROGRAMS += tests/unit/test-choose
TESTS += tests/unit/test-choose
tests_unit_test_choose_SOURCES = tests/unit/test-choose.c
tests_unit_test_choose_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_test_choose_LDADD = libclv-keymgmt.la libmikey.la libclv-base.la $(TEST_LIBS)
