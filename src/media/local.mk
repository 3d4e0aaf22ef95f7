# SPDX-License-Identifier: Apache-2.0
# conclavectl looks at prompts, too, and at nothing else of this room.
noinst_LTLIBRARIES += libclv-prompts.la
libclv_prompts_la_SOURCES = %D%/prompts.h %D%/prompts.c %D%/wav.h %D%/wav.c %D%/g711.h %D%/g711.c
libclv_prompts_la_CFLAGS = $(AM_CFLAGS) -Wconversion $(GLIB_CFLAGS)

noinst_LTLIBRARIES += libclv-media.la
libclv_media_la_SOURCES = %D%/media.h %D%/wire.h %D%/error.c \
	%D%/srtp.h %D%/srtp-private.h %D%/srtp.c %D%/srtp-openssl.c %D%/srtp-libsrtp.c \
	%D%/rtp.h %D%/rtp.c %D%/rtcp.h %D%/rtcp.c %D%/dtmf.h %D%/dtmf.c %D%/jitter.h %D%/jitter.c \
	%D%/plc.h %D%/plc.c %D%/mixer.h %D%/mixer.c %D%/stage.h %D%/stage.c %D%/leg.h %D%/leg.c %D%/loop.h %D%/loop.c \
	%D%/ports.h %D%/ports.c %D%/media.c
libclv_media_la_CFLAGS = $(AM_CFLAGS) -Wconversion $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) $(SRTP_CFLAGS)
libclv_media_la_LIBADD = libclv-prompts.la libclv-base.la $(SRTP_LIBS) $(CRYPTO_LIBS) $(GLIB_LIBS)

media_tests = tests/unit/test-srtp tests/unit/test-rtp tests/unit/test-rtcp tests/unit/test-g711 \
	tests/unit/test-jitter tests/unit/test-plc tests/unit/test-mixer tests/unit/test-dtmf \
	tests/unit/test-prompts
media_tests += tests/integration/test-media tests/integration/test-media-dtmf \
	tests/integration/test-media-prompts tests/integration/test-media-flood
check_PROGRAMS += $(media_tests)
TESTS += $(media_tests)
media_test_cflags = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
media_test_libs = libclv-media.la $(TEST_LIBS)

tests_unit_test_srtp_CFLAGS = $(media_test_cflags)
tests_unit_test_srtp_LDADD = $(media_test_libs)
tests_unit_test_rtp_CFLAGS = $(media_test_cflags)
tests_unit_test_rtp_LDADD = $(media_test_libs)
tests_unit_test_rtcp_CFLAGS = $(media_test_cflags)
tests_unit_test_rtcp_LDADD = $(media_test_libs)
tests_unit_test_g711_CFLAGS = $(media_test_cflags)
tests_unit_test_g711_LDADD = $(media_test_libs)
tests_unit_test_jitter_CFLAGS = $(media_test_cflags)
tests_unit_test_jitter_LDADD = $(media_test_libs)
tests_unit_test_plc_CFLAGS = $(media_test_cflags)
tests_unit_test_plc_LDADD = $(media_test_libs)
tests_unit_test_mixer_CFLAGS = $(media_test_cflags)
tests_unit_test_mixer_LDADD = $(media_test_libs)
tests_unit_test_dtmf_CFLAGS = $(media_test_cflags)
tests_unit_test_dtmf_LDADD = $(media_test_libs)
tests_unit_test_prompts_CFLAGS = $(media_test_cflags)
tests_unit_test_prompts_LDADD = $(media_test_libs) -lm
media_stage = tests/integration/media-stage.c tests/integration/media-stage.h \
	tests/integration/media-peer.c tests/integration/media-peer.h
tests_integration_test_media_SOURCES = tests/integration/test-media.c $(media_stage)
tests_integration_test_media_dtmf_SOURCES = tests/integration/test-media-dtmf.c $(media_stage)
tests_integration_test_media_dtmf_CFLAGS = $(media_test_cflags)
tests_integration_test_media_dtmf_LDADD = $(media_test_libs) -lm
tests_integration_test_media_prompts_SOURCES = tests/integration/test-media-prompts.c $(media_stage)
tests_integration_test_media_prompts_CFLAGS = $(media_test_cflags)
tests_integration_test_media_prompts_LDADD = $(media_test_libs) -lm
tests_integration_test_media_CFLAGS = $(media_test_cflags)
tests_integration_test_media_LDADD = $(media_test_libs) -lm
tests_integration_test_media_flood_SOURCES = tests/integration/test-media-flood.c $(media_stage)
tests_integration_test_media_flood_CFLAGS = $(media_test_cflags)
tests_integration_test_media_flood_LDADD = $(media_test_libs) -lm

EXTRA_DIST += tests/vectors/srtp.ini
