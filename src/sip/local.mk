# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-sip.la
libclv_sip_la_SOURCES = \
	%D%/loop.h %D%/loop-private.h %D%/loop.c %D%/wait-shim.c \
	%D%/sip.h %D%/sip-private.h %D%/sofia.h %D%/agent.c %D%/check.c %D%/dialog.c %D%/early.c %D%/probe.c %D%/peer.c \
	%D%/reply.c %D%/session-timer.c %D%/status.c %D%/digest.h %D%/digest.c \
	%D%/settings.h %D%/settings.c \
	%D%/connections.h %D%/connections.c %D%/tls-shim.c %D%/response-guard.c \
	%D%/unacked.c \
	%D%/route.h %D%/route.c %D%/call-out.c %D%/answerer.c \
	%D%/request.c %D%/multipart.h %D%/multipart.c %D%/refer-to.h %D%/refer-to.c %D%/refer.c %D%/refer-out.c \
	%D%/resource-list.h %D%/resource-list.c %D%/invite-body.c \
	%D%/sdp.h %D%/sdp-private.h %D%/sdp.c %D%/sdp-write.c %D%/sdp-answer.c %D%/sdp-qos.c
libclv_sip_la_CPPFLAGS = $(AM_CPPFLAGS)
libclv_sip_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS) $(SOFIA_CFLAGS) \
	$(XML_CFLAGS)
libclv_sip_la_LIBADD = libclv-base.la $(SOFIA_LIBS) $(XML_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(GLIB_LIBS)

SIP_HUB = tests/integration/fake-hub.h tests/integration/fake-hub.c
check_PROGRAMS += tests/integration/sip-echo-server
tests_integration_sip_echo_server_SOURCES = tests/integration/sip-echo-server.c $(SIP_HUB)
tests_integration_sip_echo_server_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_integration_sip_echo_server_LDADD = libclv-sip.la

check_PROGRAMS += tests/integration/test-sip
TESTS += tests/integration/test-sip
tests_integration_test_sip_SOURCES = tests/integration/test-sip.c tests/integration/raw-peer.h \
	tests/integration/raw-peer.c $(SIP_HUB)
tests_integration_test_sip_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_integration_test_sip_LDADD = libclv-sip.la

SIP_WORLD = tests/integration/sip-world.h tests/integration/sip-world.c \
	tests/integration/raw-peer.h tests/integration/raw-peer.c $(SIP_HUB)
sip_world_tests = tests/integration/test-sip-call tests/integration/test-sip-refer \
	tests/integration/test-sip-invite tests/integration/test-sip-stream
check_PROGRAMS += $(sip_world_tests)
TESTS += $(sip_world_tests)
tests_integration_test_sip_call_SOURCES = tests/integration/test-sip-call.c $(SIP_WORLD)
tests_integration_test_sip_call_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_integration_test_sip_call_LDADD = libclv-sip.la
tests_integration_test_sip_invite_SOURCES = tests/integration/test-sip-invite.c $(SIP_WORLD)
tests_integration_test_sip_invite_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_integration_test_sip_invite_LDADD = libclv-sip.la
tests_integration_test_sip_refer_SOURCES = tests/integration/test-sip-refer.c $(SIP_WORLD)
tests_integration_test_sip_refer_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_integration_test_sip_refer_LDADD = libclv-sip.la

tests_integration_test_sip_stream_SOURCES = tests/integration/test-sip-stream.c $(SIP_WORLD)
tests_integration_test_sip_stream_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_integration_test_sip_stream_LDADD = libclv-sip.la

tests_unit_test_sip_parsers_SOURCES = tests/unit/test-sip-parsers.c
tests_unit_test_sip_parsers_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_unit_test_sip_parsers_LDADD = libclv-sip.la
sip_tests = tests/unit/test-sip-parsers tests/unit/test-sdp tests/unit/test-loop tests/unit/test-digest tests/unit/test-status \
	tests/unit/test-settings
check_PROGRAMS += $(sip_tests)
TESTS += $(sip_tests)
tests_unit_test_sdp_SOURCES = tests/unit/test-sdp.c
tests_unit_test_sdp_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_unit_test_sdp_LDADD = libclv-sip.la
tests_unit_test_loop_SOURCES = tests/unit/test-loop.c
tests_unit_test_loop_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_unit_test_loop_LDADD = libclv-sip.la
tests_unit_test_digest_SOURCES = tests/unit/test-digest.c
tests_unit_test_digest_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_unit_test_digest_LDADD = libclv-sip.la
tests_unit_test_status_SOURCES = tests/unit/test-status.c
tests_unit_test_status_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_unit_test_status_LDADD = libclv-sip.la
tests_unit_test_settings_SOURCES = tests/unit/test-settings.c
tests_unit_test_settings_CFLAGS = $(libclv_sip_la_CFLAGS)
tests_unit_test_settings_LDADD = libclv-sip.la

EXTRA_DIST += tests/vectors/sdp/answer-baresip.sdp \
	tests/vectors/sdp/answer-linphone.sdp \
	tests/vectors/sdp/answer-three-lines-media.sdp \
	tests/vectors/sdp/answer-three-lines.sdp \
	tests/vectors/sdp/baresip-1.0.0-dtls.sdp \
	tests/vectors/sdp/baresip-1.0.0-srtp-mand.sdp \
	tests/vectors/sdp/linphone-5.1-plain.sdp \
	tests/vectors/sdp/linphone-5.1-srtp.sdp \
	tests/vectors/sdp/offer-three-lines.sdp
