// A dishonest replica, or a bad proxy in front of an honest one: changes what the page receives.

// Changes the texts of answers from now on. The returned function gives the number of changed answers.
export const falsify = async (page, where, change) => {
  let changed = 0;
  await page.route(where, async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    const other = change(text);
    if (other !== text) changed += 1;
    await route.fulfill({ response: answer, body: other });
  });
  return () => changed;
};

// Changes the data of a channel of the feed, in all connections that the page makes from now on.
export const falsifyFeed = (page, channel, change) =>
  page.routeWebSocket("**/v1/ws", (client) => {
    const replica = client.connectToServer();
    replica.onMessage((text) => {
      const message = JSON.parse(text);
      if (message.channel === channel && message.data) change(message.data);
      client.send(JSON.stringify(message));
    });
  });
