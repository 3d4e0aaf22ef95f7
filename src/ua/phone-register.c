/* SPDX-License-Identifier: Apache-2.0 */
/* ua/phone-register.c - REGISTER, so that a proxy knows where we are, and taking it back
 *
 *   REGISTER -> [401 -> REGISTER] -> 200
 */
#include "ua/phone-private.h"

#include <string.h>

#define EXPIRES_S 3600

/* "sip:alice@example.org" is registered at "sip:example.org". Returns: (transfer full) (nullable)
 */
static char *
registrar_of(const char *identity)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    const url_t *url = url_hdup(home, (const url_t *)identity);
    char *uri = NULL;

    if (url != NULL && url->url_host != NULL)
        uri = g_strdup_printf("%s:%s%s%s", url->url_scheme, url->url_host,
                              url->url_port != NULL ? ":" : "",
                              url->url_port != NULL ? url->url_port : "");
    su_home_deinit(home);
    return uri;
}

static gboolean
send_register(ClvUaPhone *phone)
{
    g_autofree char *lines = g_strdup_printf("Expires: %d\r\n", phone->registering ? EXPIRES_S : 0);
    ClvUaRequest request = {
        .method = sip_method_register, .name = "REGISTER", .uri = phone->registrar, .lines = lines};

    phone->reg = clv_ua_phone_send(phone, phone->reg_leg, &request);
    return phone->reg != NULL;
}

gboolean
clv_ua_phone_register(ClvUaPhone *phone, gboolean there, GError **error)
{
    const char *identity = phone->config.options->identity;

    if (phone->reg_leg == NULL) {
        phone->registrar = registrar_of(identity);
        phone->reg_leg =
            phone->registrar != NULL ? clv_ua_phone_new_leg(phone, identity, error) : NULL;
    }
    phone->registering = there;
    phone->n_reg_challenges = 0;
    if (phone->reg == NULL && phone->reg_leg != NULL && send_register(phone))
        return TRUE;
    if (error != NULL && *error == NULL)
        g_set_error(error, CLV_UA_PHONE_ERROR, 0, "'%s' cannot be registered", identity);
    return FALSE;
}

gboolean
clv_ua_phone_register_response(ClvUaPhone *phone, nta_outgoing_t *orq, const sip_t *sip)
{
    if (orq != phone->reg)
        return FALSE;
    phone->reg = NULL;
    if (!clv_ua_phone_answer_challenge(phone, sip, &phone->n_reg_challenges) ||
        !send_register(phone))
        clv_ua_phone_tell(phone, CLV_UA_PHONE_REGISTERED, sip,
                          phone->registering ? "there" : "gone");
    nta_outgoing_destroy(orq);
    return TRUE;
}

void
clv_ua_phone_forget_register(ClvUaPhone *phone)
{
    g_clear_pointer(&phone->reg, nta_outgoing_destroy);
    g_clear_pointer(&phone->reg_leg, nta_leg_destroy);
    g_clear_pointer(&phone->registrar, g_free);
}
