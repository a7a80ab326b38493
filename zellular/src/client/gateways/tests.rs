use super::*;

fn gateways(stakes: &[u64]) -> Gateways {
    let address = |(number, stake): (usize, &u64)| GatewayAddress {
        url: format!("http://{number}"),
        stake: *stake,
    };
    Gateways::new(stakes.iter().enumerate().map(address).collect(), Rng::with_seed(3))
}

fn survey(gateways: &mut Gateways, finalized: &[Option<u64>]) {
    let claim = |finalized: u64| NodeClaim { is_leader: false, finalized };
    let claims: Vec<_> = finalized
        .iter()
        .enumerate()
        .map(|(number, index)| (format!("http://{number}"), index.map(claim)))
        .collect();
    gateways.take_survey(&claims);
}

fn unavailable() -> GatewayFailure {
    GatewayFailure::Unavailable("x".into())
}

/// Counts how often each is chosen in 1000 choices.
fn chosen(gateways: &mut Gateways, what: Use) -> Vec<usize> {
    let mut counts = vec![0; gateways.list.len()];
    for _ in 0..1000 {
        counts[gateways.choose(what, &[]).unwrap()] += 1;
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn a_claim_above_all_others_gains_nothing() {
    let mut gateways = gateways(&[10, 10, 10, 10]);
    for index in [100, 200] {
        survey(&mut gateways, &[Some(u64::MAX), Some(index), Some(index), Some(index)]);
    }
    assert!(gateways.list.iter().all(|gateway| !gateway.lags));
    assert!(chosen(&mut gateways, Use::Reading).into_iter().all(|count| count > 150));
}

#[tokio::test(start_paused = true)]
async fn a_node_lags_below_what_half_of_the_stake_had_a_survey_ago() {
    let mut gateways = gateways(&[10, 10, 10, 10]);
    survey(&mut gateways, &[Some(100), Some(101), Some(40), None]);
    assert!(gateways.list.iter().all(|gateway| !gateway.lags), "nothing to compare with yet");
    survey(&mut gateways, &[Some(120), Some(100), Some(50), None]);
    let lags: Vec<bool> = gateways.list.iter().map(|gateway| gateway.lags).collect();
    assert_eq!(lags, [false, false, true, false]);
    let counts = chosen(&mut gateways, Use::Reading);
    assert_eq!((counts[2], counts[3]), (0, 0), "one lags, one is silent");
}

#[tokio::test(start_paused = true)]
async fn liars_need_more_than_half_of_the_stake_to_move_the_median() {
    let mut even = gateways(&[10, 10, 20]);
    survey(&mut even, &[Some(5), Some(6), Some(u64::MAX)]);
    assert_eq!(even.median, Some(6));
    let mut most = gateways(&[10, 10, 21]);
    survey(&mut most, &[Some(5), Some(6), Some(u64::MAX)]);
    assert_eq!(most.median, Some(u64::MAX));
}

#[tokio::test(start_paused = true)]
async fn the_leader_is_posted_to_only_when_no_other_node_is_usable() {
    let mut gateways = gateways(&[10, 10]);
    let claim = |is_leader| Some(NodeClaim { is_leader, finalized: 7 });
    let claims = [("http://0".into(), claim(true)), ("http://1".into(), claim(false))];
    gateways.take_survey(&claims);
    assert_eq!(chosen(&mut gateways, Use::Posting), [0, 1000]);
    gateways.fails("http://1", &unavailable());
    assert_eq!(chosen(&mut gateways, Use::Posting), [1000, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_gateway_is_avoided_twice_as_long_each_time_and_a_dishonest_one_much_longer()
{
    let mut gateways = gateways(&[1, 1]);
    let mut avoided_for = |failure: &GatewayFailure| {
        gateways.fails("http://0", failure);
        assert_eq!(chosen(&mut gateways, Use::Reading), [0, 1000]);
        let until = gateways.list[0].avoided_until.take().unwrap();
        until - Instant::now()
    };
    let waits: Vec<Duration> = (0..8).map(|_| avoided_for(&unavailable())).collect();
    assert!(
        waits[0] <= UNAVAILABLE_WAIT.after(1) && waits[0] >= UNAVAILABLE_WAIT.after(1) / 2,
        "{waits:?}"
    );
    assert!(waits[7] > waits[0] * 8 && waits[7] <= UNAVAILABLE_WAIT.after(u32::MAX), "{waits:?}");
    let lie = avoided_for(&GatewayFailure::Dishonest("y".into()));
    assert!(lie >= DISHONEST_WAIT.after(1) / 2, "{lie:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_takes_no_posts_is_still_read() {
    let mut gateways = gateways(&[1, 1]);
    gateways.refuses("http://0", "IsPausedError");
    assert_eq!(chosen(&mut gateways, Use::Posting), [0, 1000]);
    assert!(chosen(&mut gateways, Use::Reading)[0] > 300);
}

#[tokio::test(start_paused = true)]
async fn reading_and_posting_use_different_gateways_and_keep_them_while_all_is_well() {
    let mut gateways = gateways(&[1, 1, 1]);
    let (reading, posting) = (gateways.reading(), gateways.posting(0));
    assert_ne!(reading, posting);
    for index in [1, 2, 3] {
        survey(&mut gateways, &[Some(index), Some(index), Some(index)]);
        gateways.nothing_after(index);
        assert_eq!((gateways.reading(), gateways.posting(0)), (reading, posting));
    }
    let url = gateways.url(reading.unwrap());
    gateways.fails(&url, &unavailable());
    assert_ne!(gateways.reading(), reading);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_withholds_batches_is_left_for_one_that_claims_more() {
    let mut gateways = gateways(&[1, 1]);
    let reading = gateways.reading().unwrap();
    let mut claims = [Some(10), Some(10)];
    claims[reading] = Some(5);
    survey(&mut gateways, &claims);
    survey(&mut gateways, &claims);
    gateways.nothing_after(5);
    assert_eq!(gateways.reading(), Some(1 - reading));
    // The other one withholds too: it has failed, and the first is read again.
    gateways.nothing_after(5);
    assert!(
        gateways.list[1 - reading]
            .last_failure
            .as_deref()
            .is_some_and(|text| text.contains("nothing after 5"))
    );
    assert_eq!(gateways.reading(), Some(reading));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_keeps_its_record_when_the_operators_change() {
    let mut gateways = gateways(&[1, 1]);
    gateways.fails("http://1", &GatewayFailure::Dishonest("y".into()));
    let address = |number: u8| GatewayAddress { url: format!("http://{number}/"), stake: 1 };
    gateways.set(vec![address(1), address(2), address(2)]);
    let statuses = gateways.statuses();
    let known: Vec<_> =
        statuses.iter().map(|status| (status.url.as_str(), status.dishonest_answers)).collect();
    assert_eq!(known, [("http://1", 1), ("http://2", 0)]);
    assert_eq!(gateways.reading(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn lanes_lead_to_different_good_gateways_and_keep_them() {
    let mut gateways = gateways(&[1, 1, 1, 1, 1]);
    let survey = |gateways: &mut Gateways, index| {
        let claim = |number| Some(NodeClaim { is_leader: number == 0, finalized: index });
        let claims: Vec<_> =
            (0..5).map(|number| (format!("http://{number}"), claim(number))).collect();
        gateways.take_survey(&claims);
    };
    survey(&mut gateways, 1);
    gateways.fails("http://4", &GatewayFailure::Dishonest("y".into()));
    assert_eq!(gateways.lanes(), 3, "neither the leader nor the dishonest one");
    let lanes = |gateways: &mut Gateways| [0, 1, 2].map(|lane| gateways.posting(lane).unwrap());
    let before = lanes(&mut gateways);
    let mut all = before;
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
    survey(&mut gateways, 2);
    assert_eq!(lanes(&mut gateways), before);
    let posted_to: Vec<bool> =
        gateways.statuses().iter().map(|status| status.is_posted_to).collect();
    assert_eq!(posted_to, [false, true, true, true, false]);
    // When one fails, the other lanes stay, and its lane leads to the gateway of another.
    gateways.fails(&format!("http://{}", before[1]), &unavailable());
    assert_eq!(gateways.lanes(), 2);
    let after = lanes(&mut gateways);
    assert_eq!([after[0], after[2]], [before[0], before[2]]);
    assert!(after[1] == before[0] || after[1] == before[2], "{after:?}");
    // When it is back, a lane that was used lately stays, to keep the order of its posts.
    tokio::time::advance(UNAVAILABLE_WAIT.after(u32::MAX)).await;
    survey(&mut gateways, 3);
    assert_eq!((gateways.lanes(), lanes(&mut gateways)), (3, after));
    tokio::time::advance(LANE_LASTS * 2).await;
    survey(&mut gateways, 4);
    let mut all = lanes(&mut gateways);
    all.sort_unstable();
    all.windows(2).for_each(|two| assert_ne!(two[0], two[1]));
}

#[tokio::test(start_paused = true)]
async fn posts_on_a_lane_follow_to_the_gateway_that_took_the_last_one() {
    let mut gateways = gateways(&[1, 1, 1]);
    let first = gateways.posting(0).unwrap();
    for other in (0..3).filter(|other| *other != first) {
        gateways.refuses(&gateways.url(first), "IsPausedError");
        gateways.takes(&gateways.url(other), Route::Lane(0));
        assert_eq!(gateways.posting(0), Some(other));
    }
}

#[tokio::test(start_paused = true)]
async fn another_gateway_is_never_the_same_one_nor_one_that_is_avoided() {
    let mut three = gateways(&[10, 10, 10]);
    for _ in 0..100 {
        assert_ne!(three.other_than("http://0").as_deref(), Some("http://0"));
    }
    three.fails("http://1", &unavailable());
    for _ in 0..100 {
        assert_eq!(three.other_than("http://0").as_deref(), Some("http://2"));
    }
    three.fails("http://2", &GatewayFailure::Dishonest("x".into()));
    assert_eq!(three.other_than("http://0"), None);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(three.other_than("http://0").as_deref(), Some("http://1"));
    // A single gateway has no other, whatever the body came from.
    assert_eq!(gateways(&[10]).other_than(""), None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_forgotten_once_the_gateway_answers_again_after_its_wait() {
    let mut gateways = gateways(&[1, 1]);
    for failure in [unavailable(), GatewayFailure::Dishonest("y".into())] {
        gateways.fails("http://0", &failure);
        assert!(gateways.failed().is_empty(), "it is avoided, so it is not asked");
        let until = gateways.list[0].avoided_until.unwrap();
        tokio::time::advance(until - Instant::now()).await;
        assert_eq!(gateways.failed(), ["http://0"]);
        assert_eq!(gateways.statuses()[0].last_failure.as_deref(), Some(failure.text()));
        gateways.works_again("http://0");
        assert!(gateways.failed().is_empty());
        assert_eq!(gateways.statuses()[0].last_failure, None);
    }
    let status = &gateways.statuses()[0];
    assert_eq!((status.failures, status.dishonest_answers), (2, 1), "the counts stay");
}
