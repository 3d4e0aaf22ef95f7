# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-keymgmt-mikey-ticket.la
libclv_keymgmt_mikey_ticket_la_SOURCES = %D%/ticket-private.h %D%/plugin.c %D%/lines.c %D%/early.c \
	%D%/answerer.c %D%/offerer.c %D%/asking.c %D%/session.c %D%/words.c %D%/refusal.c %D%/self-test.c \
	%D%/vectors.h
libclv_keymgmt_mikey_ticket_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
EXTRA_DIST += %D%/README.md

check_PROGRAMS += tests/exchange/test-mikey-ticket
TESTS += tests/exchange/test-mikey-ticket
tests_exchange_test_mikey_ticket_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/test-mikey-ticket.c
tests_exchange_test_mikey_ticket_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_exchange_test_mikey_ticket_LDADD = libclv-keymgmt.la libmikey.la libclv-base.la $(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-ticket-kms
TESTS += tests/exchange/test-ticket-kms
tests_exchange_test_ticket_kms_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/ticket-town.h tests/exchange/test-ticket-kms.c
tests_exchange_test_ticket_kms_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_exchange_test_ticket_kms_LDADD = libclv-keymgmt.la libclv-kms.la libmikey.la libclv-base.la \
	$(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-ticket-call
TESTS += tests/exchange/test-ticket-call
tests_exchange_test_ticket_call_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/ticket-town.h tests/exchange/test-ticket-call.c
tests_exchange_test_ticket_call_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_exchange_test_ticket_call_LDADD = libclv-keymgmt.la libclv-kms.la libmikey.la libclv-base.la \
	$(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-ticket-update
TESTS += tests/exchange/test-ticket-update
tests_exchange_test_ticket_update_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/test-ticket-update.c
tests_exchange_test_ticket_update_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_exchange_test_ticket_update_LDADD = libclv-keymgmt.la libmikey.la libclv-base.la $(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-ticket-refer
TESTS += tests/exchange/test-ticket-refer
tests_exchange_test_ticket_refer_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/test-ticket-refer.c
tests_exchange_test_ticket_refer_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
tests_exchange_test_ticket_refer_LDADD = libclv-keymgmt.la libmikey.la libclv-base.la $(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-ticket-papers
TESTS += tests/exchange/test-ticket-papers
tests_exchange_test_ticket_papers_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/ticket-town.h tests/exchange/test-ticket-papers.c tests/unit/mikey-certs.h \
	tests/unit/mikey-certs.c
tests_exchange_test_ticket_papers_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) \
	-I$(top_srcdir)
tests_exchange_test_ticket_papers_LDADD = libclv-keymgmt.la libclv-kms.la libmikey.la \
	libclv-base.la $(TEST_LIBS)

check_PROGRAMS += tests/exchange/test-ticket-errors
TESTS += tests/exchange/test-ticket-errors
tests_exchange_test_ticket_errors_SOURCES = tests/exchange/ticket-world.h \
	tests/exchange/test-ticket-errors.c tests/unit/mikey-draft.h tests/unit/mikey-draft.c
tests_exchange_test_ticket_errors_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) \
	-I$(top_srcdir)
tests_exchange_test_ticket_errors_LDADD = libclv-keymgmt.la libmikey.la libclv-base.la $(TEST_LIBS)

check_PROGRAMS += tests/integration/test-kms-papers
TESTS += tests/integration/test-kms-papers
tests_integration_test_kms_papers_SOURCES = tests/integration/test-kms-papers.c \
	tests/unit/mikey-certs.h tests/unit/mikey-certs.c
tests_integration_test_kms_papers_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) \
	-I$(top_srcdir)/tests -I$(top_srcdir)
tests_integration_test_kms_papers_LDADD = libclv-check.la libclv-keymgmt.la $(CHECK_LIBS) \
	$(SOFIA_LIBS) $(SSL_LIBS) $(TEST_LIBS)
