/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket/vectors.h - a call of 2030-01-01 as it was on the wire, for the self test
 *
 * sip:alice@operator.example calls sip:bob@operator.example with a ticket of
 * sip:kms@operator.example: keys forked, 256-bit suite, two m-lines, two SRTP policies offered of
 * which the second (AEAD_AES_128_GCM) is taken. The time is that of the messages.
 */
#pragma once

/* a=key-mgmt of the offer: TRANSFER_INIT made at 00:00:02.25 */
static const char vector_offer[] =
    "mikey "
    "AQ4FgUpXab8EAgEAAgABAAQQIDBABNyuJbwCAAIAAQAABNyuJbwDAAIAAQAEECAwQQTcriW8BAACAAEAAATcriW8"
    "DwD0hlcCQAAAAA4BIFzEi3rfJRpu3iHvGyqVLOuK7pU2xZFy1gXGHCklBHY4DgEBABpzaXA6YWxpY2VAb3BlcmF0"
    "b3IuZXhhbXBsZQoCAQAYc2lwOmJvYkBvcGVyYXRvci5leGFtcGxlCgAAACEAAQEBARACAQEDARQEAQ4FAQAGAQAH"
    "AQEIAQEKAQELAQoRAQAAGAABBgEBEAQBDAUBAAYBAAcBAQgBARQBEBUAAQEBA/xgAGEODgMBABhzaXA6a21zQG9w"
    "ZXJhdG9yLmV4YW1wbGUNAQEAGnNpcDphbGljZUBvcGVyYXRvci5leGFtcGxlDgMD9IZlEAACAQAYc2lwOmJvYkBv"
    "cGVyYXRvci5leGFtcGxlALIFAAALAPSGVwDAAAAAASAdibbLhp6EeZhm66W/hhK9Rg9IMTca/JcD060cbyLOuA4D"
    "AFI6IkZzfsuzTrgszmo5zSYML8BpM2JuBY076+naoqlQlUY+kLjX8HrIelhpJ7djv0aLwDvlX0boOPcq8dwtAUb7"
    "QDLVua3XyyiCisZacF7XALTxAAkEAgAFdHBrLTEAAg0cO41oMa3pOcalgjbEgmdvnlQZ/Foro99jzKyuDEvNAEUJ"
    "CQI7G999TspoFRELSRLf1EDKH9twKgpsUgnl4Sm7QvAo+wACaYElAJRFZdsH3rUHS1xp4v+9caTPV/Ka2Ho8KCSA"
    "5GMJAQAFbWlrZXkAAjsb331OymgVEQtJEt/UQMof23AqCmxSCeXhKbtC8Cj7";

/* What bob asks at 00:00:04: SHA-256 of the RESOLVE_INIT. PSK, CSB ID and RANDRr are given. */
static const char vector_resolve_init_sha256[] =
    "64272313adb80f383d4033117dfced7a402d023bd1542e3b5b952b266e6a5b71";
static const char vector_psk[] = "b0b887d1b60780831c3ef58c898a2ffc46c8e8ceb4bb1e2095f8e231f8379b16";
static const char vector_resolve_csb_id[] = "616fe5d4";
static const char vector_resolve_rand[] =
    "6b913a029fbc28081298788aecce788786d4808b04b541fbe1fd01b89dd287d2";

/* What the KMS answers: RESOLVE_RESP */
static const char vector_resolve_resp[] =
    "01120501616fe5d400010e00f48657044000000001030100187369703a6b6d73406f70657261746f722e6578"
    "616d706c650e03007bb45d316ff5f1879bd6e74da29528b2fa7414cd646e39f811fac3c0ecaef5b86df36876"
    "ffb9487598797b3a7befc9a378a839017fba2058d3923e0758560d3ebcfa7c4368652e4d1a1c13526eb769f8"
    "7fa869de3081cb8fdfb58e6daae6fe787d143edba0e9437e60bbf795c18d8cb31d9876d27c80cabe8b15bc06"
    "000f020100187369703a626f62406f70657261746f722e6578616d706c6509032026b2f8857e21b914d327e2"
    "0c993ba848163751f11eeefacad992df83fb2f4a370002005c1787659297c099d5ba6d495fd67daefa0d5ce4"
    "3abbed5cfaaf3b0068b4cb";

/* RANDRr of the TRANSFER_RESP, and the SRTP keys of the first m-line that follow */
static const char vector_transfer_rand[] =
    "a016e5678052d5a20223e80f39791c624970752d3c15c1b79a1d9977f2ce0541";
static const char vector_rx_key[] = "3144935134306a79c96c5e77a9f47b84";
static const char vector_rx_salt[] = "1314c3ab3396fb5baaf36eaa";
static const char vector_tx_key[] = "1e587067c512100a5d275041d5355e9a";
static const char vector_tx_salt[] = "dda0520e385a2b4a6a6bd1aa";
static const char vector_mki[] = "dcae25bc";
