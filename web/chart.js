// The candle chart: the few functions that the page calls, implemented with lightweight-charts, which `cargo xtask web` puts
// before this file. Numbers here are only for drawing; the page shows the exact ones. Lists from the page are views of its
// wasm memory, which it reuses, so they are copied.
globalThis.zellbookChart = {
  mount(element, onPoint, onOldest) {
    const library = globalThis.LightweightCharts;
    let digits = 2;
    let isDay = false;
    const number = (value) => value.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    // The library formats times in UTC; the labels use the reader's time zone. Daily candles are days in UTC.
    const date = (seconds, options) => new Date(seconds * 1000).toLocaleString(undefined, isDay ? { ...options, timeZone: "UTC" } : options);
    const whole = { year: "numeric", month: "short", day: "numeric" };
    const clock = { hour: "2-digit", minute: "2-digit" };
    const marksByKind = [{ year: "numeric" }, { month: "short" }, { month: "short", day: "numeric" }, clock, clock];
    const chart = library.createChart(element, {
      autoSize: true,
      // The logo would add an inline style, which the content security policy forbids; the page shows the attribution below.
      layout: { attributionLogo: false, fontSize: 12, fontFamily: "system-ui, sans-serif" },
      crosshair: { mode: library.CrosshairMode.Normal },
      timeScale: { timeVisible: true, rightOffset: 4, tickMarkFormatter: (time, kind) => date(time, marksByKind[kind]) },
      localization: { priceFormatter: number, timeFormatter: (time) => date(time, isDay ? whole : { ...whole, ...clock }) },
      rightPriceScale: { scaleMargins: { top: 0.08, bottom: 0.26 } },
      handleScroll: { vertTouchDrag: false },
    });
    const prices = chart.addSeries(library.CandlestickSeries, { priceLineVisible: true });
    const volumes = chart.addSeries(library.HistogramSeries, { priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false });
    volumes.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    const marks = library.createSeriesMarkers(prices, []);
    let colours = {};
    let shownMarks = new Float64Array();
    let rows = new Float64Array();

    // Six numbers per candle: start in milliseconds, open, high, low, close, volume.
    const bars = (from) => {
      const list = [];
      for (let at = from * 6; at < rows.length; at += 6) {
        const [start, open, high, low, close, volume] = rows.subarray(at, at + 6);
        const time = start / 1000;
        const color = close < open ? colours.askTint : colours.bidTint;
        list.push([{ time, open, high, low, close }, { time, value: volume, color }]);
      }
      return list;
    };
    const drawAll = () => {
      const all = bars(0);
      prices.setData(all.map(([price]) => price));
      volumes.setData(all.map(([, volume]) => volume));
    };
    const drawMarks = () => {
      const list = [];
      for (let at = 0; at < shownMarks.length; at += 2) {
        const isBuy = shownMarks[at + 1] > 0;
        list.push({
          time: shownMarks[at] / 1000,
          position: isBuy ? "belowBar" : "aboveBar",
          shape: isBuy ? "arrowUp" : "arrowDown",
          color: isBuy ? colours.bid : colours.ask,
          text: isBuy ? "B" : "S",
        });
      }
      marks.setMarkers(list);
    };
    const paint = () => {
      const tokens = getComputedStyle(document.documentElement);
      const token = (name) => tokens.getPropertyValue(`--${name}`).trim();
      colours = { bid: token("bid"), ask: token("ask"), bidTint: `${token("bid")}59`, askTint: `${token("ask")}59` };
      const line = token("line");
      chart.applyOptions({
        layout: { background: { type: "solid", color: token("surface") }, textColor: token("muted") },
        grid: { vertLines: { color: line }, horzLines: { color: line } },
        crosshair: { vertLine: { color: token("muted"), labelBackgroundColor: token("muted") }, horzLine: { color: token("muted"), labelBackgroundColor: token("muted") } },
        rightPriceScale: { borderColor: line },
        timeScale: { borderColor: line },
      });
      prices.applyOptions({ upColor: colours.bid, wickUpColor: colours.bid, borderUpColor: colours.bid, downColor: colours.ask, wickDownColor: colours.ask, borderDownColor: colours.ask });
      drawAll();
      drawMarks();
    };
    // The theme and the colour set are attributes of the root element.
    const watch = new MutationObserver(paint);
    watch.observe(document.documentElement, { attributes: true });
    chart.subscribeCrosshairMove(({ time }) => onPoint(time === undefined ? -1 : time * 1000));
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < 10 && rows.length > 0) onOldest();
    });
    paint();

    return {
      setAll(all, stepDigits, step, isOfDays) {
        [digits, isDay] = [stepDigits, isOfDays];
        prices.applyOptions({ priceFormat: { type: "custom", formatter: number, minMove: step } });
        chart.applyOptions({ timeScale: { timeVisible: !isDay } });
        rows = all.slice();
        drawAll();
        chart.timeScale().scrollToRealTime();
      },
      // Adds older candles on the left; the visible candles keep their place on the screen.
      setOlder(all) {
        const more = (all.length - rows.length) / 6;
        const range = chart.timeScale().getVisibleLogicalRange();
        rows = all.slice();
        drawAll();
        if (range) chart.timeScale().setVisibleLogicalRange({ from: range.from + more, to: range.to + more });
        drawMarks();
      },
      // Replaces the candles from index `first` on, or appends new ones.
      setFrom(changed, first) {
        const isOfTheEnd = first >= rows.length / 6 - 1;
        const all = new Float64Array(first * 6 + changed.length);
        all.set(rows.subarray(0, first * 6));
        all.set(changed, first * 6);
        rows = all;
        if (!isOfTheEnd) return drawAll();
        for (const [price, volume] of bars(first)) {
          prices.update(price);
          volumes.update(volume);
        }
        return undefined;
      },
      setMarks(list) {
        shownMarks = list.slice();
        drawMarks();
      },
      remove() {
        watch.disconnect();
        chart.remove();
      },
    };
  },
};
