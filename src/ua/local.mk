# SPDX-License-Identifier: Apache-2.0
# What can be tested without a network is a library of its own; the program adds SIP and the KMS.
noinst_LTLIBRARIES += libclv-ua.la
libclv_ua_la_SOURCES = %D%/options.h %D%/options.c %D%/suite.h %D%/suite.c %D%/wav.h %D%/wav.c \
	%D%/source.h %D%/source.c %D%/meter.h %D%/meter.c %D%/g711.h %D%/g711.c \
	%D%/playout.h %D%/playout.c %D%/report.h %D%/report.c %D%/digest.h %D%/digest.c \
	%D%/decode.h %D%/decode.c %D%/ticket-file.h %D%/ticket-file.c %D%/crypt.h %D%/crypt.c \
	%D%/sipfrag.h %D%/sipfrag.c %D%/uri-list.h %D%/uri-list.c \
	%D%/dialog-id.h %D%/dialog-id.c
libclv_ua_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) $(SRTP_CFLAGS)
libclv_ua_la_LIBADD = libmikey.la libclv-base.la $(SRTP_LIBS) $(GLIB_LIBS) $(CRYPTO_LIBS)

bin_PROGRAMS += conclave-ua
dist_man_MANS += man/conclave-ua.1
conclave_ua_SOURCES = %D%/main.c %D%/session.h %D%/session-private.h \
	%D%/session.c %D%/offer.c %D%/judge.c %D%/called.c %D%/script.c %D%/asking.c %D%/renew.c %D%/phone.h %D%/phone-private.h %D%/phone.c \
	%D%/phone-in.c %D%/phone-refer.c %D%/phone-register.c %D%/agent.c \
	%D%/tls.h %D%/tls.c %D%/keys.h %D%/keys-private.h %D%/keys.c %D%/keys-answer.c %D%/keys-renew.c \
	%D%/keys-refer.c %D%/stream.h %D%/stream.c
conclave_ua_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) $(SSL_CFLAGS) $(SOFIA_CFLAGS)
conclave_ua_LDADD = libclv-ua.la libclv-kms.la libclv-sip.la libmikey.la libclv-base.la \
	$(SOFIA_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(GLIB_LIBS)

ua_tests = tests/unit/test-ua-sound tests/unit/test-ua-words
check_PROGRAMS += $(ua_tests)
TESTS += $(ua_tests)
tests_unit_test_ua_sound_SOURCES = tests/unit/test-ua-sound.c
tests_unit_test_ua_sound_CFLAGS = $(libclv_ua_la_CFLAGS)
tests_unit_test_ua_sound_LDADD = libclv-ua.la $(TEST_LIBS)
tests_unit_test_ua_words_SOURCES = tests/unit/test-ua-words.c
tests_unit_test_ua_words_CFLAGS = $(libclv_ua_la_CFLAGS)
tests_unit_test_ua_words_LDADD = libclv-ua.la $(TEST_LIBS)

# The programs, over real sockets; and a peer that is nobody's child, judged before it judges
ua_integration = tests/integration/test-ua-calls.py tests/integration/test-ua-roles.py tests/integration/test-ua-baresip.py \
	tests/integration/test-peer-vectors.py
TESTS += $(ua_integration)
EXTRA_DIST += $(ua_integration) tests/integration/uatest.py tests/e2e/peer/peer.py tests/e2e/peer/ticket.py \
	tests/e2e/peer/media.py tests/e2e/cases/independent.py
