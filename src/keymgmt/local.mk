# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-keymgmt.la
libclv_keymgmt_la_SOURCES = %D%/keymgmt.h %D%/schemes.h %D%/registry.c %D%/choose.c %D%/output.c
libclv_keymgmt_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
libclv_keymgmt_la_LIBADD = libclv-keymgmt-mikey-ticket.la libclv-keymgmt-sdes.la
