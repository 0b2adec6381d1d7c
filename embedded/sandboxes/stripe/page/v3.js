// Stands in for Stripe.js: the calls of a page that shows a Payment Element, answered as Stripe.js answers them.
(() => {
  const root = new URL("..", document.currentScript.src);

  // A frame of the sandbox's: what is chosen in it, the page around it never sees.
  class PaymentElement {
    #frame = document.createElement("iframe");
    #ready;

    constructor(clientSecret) {
      const query = new URLSearchParams({ domain: location.hostname });
      this.#frame.src = new URL(`elements/${encodeURIComponent(clientSecret)}/element?${query}`, root);
      this.#frame.title = "Secure payment input frame";
      Object.assign(this.#frame.style, { width: "100%", border: "0", display: "block", colorScheme: "light dark" });
      const { promise, resolve } = Promise.withResolvers();
      this.#ready = promise;
      addEventListener("message", ({ source, data }) => {
        if (source !== this.#frame.contentWindow) return;
        if (data.height) this.#frame.style.height = `${data.height}px`;
        if (data.ready) resolve();
      });
    }

    mount(target) {
      (typeof target === "string" ? document.querySelector(target) : target).replaceChildren(this.#frame);
    }

    async confirm(fields) {
      await this.#ready;
      const { port1, port2 } = new MessageChannel();
      const answer = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
      this.#frame.contentWindow.postMessage(fields, root.origin, [port2]);
      return answer;
    }
  }

  class Elements {
    constructor({ clientSecret }) {
      this.clientSecret = clientSecret;
    }

    create(kind) {
      if (kind !== "payment") throw new Error(`the sandbox has no element "${kind}"`);
      return (this.payment = new PaymentElement(this.clientSecret));
    }
  }

  // With the method that the intent has already.
  const confirmWithout = async (fields) => {
    const address = new URL(`elements/${encodeURIComponent(fields.client_secret)}/confirm`, root);
    const answer = await fetch(address, { method: "POST", body: new URLSearchParams(fields) });
    const body = await answer.json();
    return body.error ? { error: body.error } : { intent: body };
  };

  const returning = (address, { object, id, client_secret: secret }) => {
    const url = new URL(address, location.href);
    const told = { [object]: id, [`${object}_client_secret`]: secret, redirect_status: "succeeded" };
    for (const [name, value] of Object.entries(told)) url.searchParams.set(name, value);
    return url;
  };

  window.Stripe = (key, { stripeAccount } = {}) => {
    // The answer has the intent under `name`.
    const confirming = (name) => async ({ elements, clientSecret = elements.clientSecret, confirmParams, redirect = "always" }) => {
      const fields = { key, client_secret: clientSecret, return_url: confirmParams.return_url };
      if (stripeAccount) fields._stripe_account = stripeAccount;
      const { error, intent } = elements ? await elements.payment.confirm(fields) : await confirmWithout(fields);
      if (error) return { error };
      const bank = intent.next_action?.redirect_to_url?.url;
      if (!bank && redirect === "if_required") return { [name]: intent };
      location.assign(bank ?? returning(confirmParams.return_url, intent));
      return new Promise(() => {});
    };
    return {
      elements: (options) => new Elements(options),
      confirmPayment: confirming("paymentIntent"),
      confirmSetup: confirming("setupIntent"),
    };
  };
})();
