using Microsoft.Extensions.Time.Testing;
using Tributary.Postgres;

namespace Tributary.Branching.Tests.Storage;

/// <summary>What is measured anew, and when.</summary>
public sealed class PoolMeterTests
{
    readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    readonly CountingDriver _driver = new();
    readonly PoolMeter _meter;

    public PoolMeterTests() => _meter = new PoolMeter(_driver, _time);

    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_sleeps_is_measured_once_and_again_after_it_has_run()
    {
        Branch[] asleep = [Sleeping(1, ranSeconds: 5), Sleeping(2, ranSeconds: 0)];

        Assert.Equal(3, (await _meter.MeasureAsync(asleep, whole: true, Token)).Count);
        _time.Advance(TimeSpan.FromMinutes(10));
        var again = await _meter.MeasureAsync(asleep, whole: true, Token);
        _time.Advance(TimeSpan.FromMinutes(10));
        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 9), asleep[1]], whole: true, Token);

        Assert.Equal([["branches/b1", "branches/b2", "main"], ["main"], ["branches/b1", "main"]], _driver.Asked);
        Assert.Equal(_driver.BytesOf("branches/b2"), again["branches/b2"].ExclusiveBytes);
    }

    [Fact]
    public async Task What_runs_is_measured_when_its_figure_is_old_and_what_has_just_come_to_rest_makes_nobody_wait_twice()
    {
        Branch[] branches =
        [
            Sleeping(1, ranSeconds: 5) with { Compute = ComputeState.Running },
            Sleeping(2, ranSeconds: 5) with { LastUsedAt = _time.GetUtcNow() },
        ];

        await _meter.MeasureAsync(branches, whole: true, Token);
        _time.Advance(TimeSpan.FromSeconds(1));
        await _meter.MeasureAsync(branches, whole: true, Token);
        _time.Advance(TimeSpan.FromSeconds(2));
        await _meter.MeasureAsync(branches, whole: true, Token);

        Assert.Equal([["branches/b1", "branches/b2", "main"], ["branches/b1", "main"]], _driver.Asked);
    }

    [Fact]
    public async Task Who_cannot_wait_gets_what_is_known_of_very_many_and_all_of_few()
    {
        Branch[] branches = [.. Enumerable.Range(1, 80).Select(number => Sleeping(number, ranSeconds: 5))];

        var first = await _meter.MeasureAsync(branches, whole: false, Token);
        var few = await _meter.MeasureAsync(branches[..50], whole: false, Token);

        Assert.Equal((0, 51), (first.Count, few.Count));
    }

    [Fact]
    public async Task What_runs_is_measured_later_for_whoever_did_not_wait_and_not_again_unless_asked_for()
    {
        Branch[] branches = [.. Enumerable.Range(1, 80).Select(number => Sleeping(number, ranSeconds: 5) with { Compute = ComputeState.Running })];
        await _meter.MeasureAsync(branches, whole: false, Token);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = _meter.RunAsync(() => branches, stop.Token);
        for (var round = 1; round <= 6; round++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            var expected = Math.Min(round, 5);
            await BranchingFixture.UntilAsync(() => _driver.Asked.Count == expected, () => $"{_driver.Asked.Count} measurements in round {round}");
        }

        Assert.Equal(81, _driver.Asked.SelectMany(static asked => asked).Distinct().Count());
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task What_has_just_come_to_rest_is_measured_again_without_being_asked_until_all_that_it_wrote_has_its_place()
    {
        var branches = new[] { Sleeping(1, ranSeconds: 5) with { LastUsedAt = _time.GetUtcNow() } };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = _meter.RunAsync(() => branches, stop.Token);
        for (var round = 1; round <= 40; round++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            var expected = Math.Min(round, 30);
            await BranchingFixture.UntilAsync(() => _driver.Asked.Count == expected, () => $"{_driver.Asked.Count} measurements in round {round}");
        }

        await _meter.MeasureAsync(branches, whole: false, Token);
        Assert.Equal(["main"], _driver.Asked[^1]);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task What_has_come_to_rest_is_measured_before_anybody_asks()
    {
        Branch[] branches = [.. Enumerable.Range(1, 25).Select(number => Sleeping(number, ranSeconds: 5)), Sleeping(26, ranSeconds: 5) with { Compute = ComputeState.Running }];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = _meter.RunAsync(() => branches, stop.Token);

        foreach (var round in new[] { 1, 2 })
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            await BranchingFixture.UntilAsync(() => _driver.Asked.Count == round, () => $"{_driver.Asked.Count} measurements");
        }

        await _meter.MeasureAsync(branches, whole: true, Token);
        Assert.Equal([20, 5], _driver.Asked.Take(2).Select(asked => asked.Count));
        Assert.Equal(["branches/b26", "main"], _driver.Asked[2]);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task What_was_at_rest_a_moment_ago_and_runs_now_is_measured_anew()
    {
        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 0)], whole: true, Token);

        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 0) with { Compute = ComputeState.Running }], whole: true, Token);

        Assert.Equal([["branches/b1", "main"], ["branches/b1"]], _driver.Asked);
    }

    [Fact]
    public async Task What_is_gone_is_left_out()
    {
        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 5), Sleeping(2, ranSeconds: 5)], whole: true, Token);
        _driver.Gone = "branches/b3";

        var left = await _meter.MeasureAsync([Sleeping(2, ranSeconds: 5), Sleeping(3, ranSeconds: 5)], whole: true, Token);

        Assert.Equal(["branches/b2", "main"], left.Keys.Order());
    }

    Branch Sleeping(long id, int ranSeconds) =>
        new(id, BranchName.Parse($"b-{id}"), "s", BranchState.Ready, Lsn.Zero, _time.Start, _time.Start, 1)
        {
            LastUsedAt = ranSeconds > 0 ? _time.Start.AddHours(-1) : null,
            Usage = new ComputeUsage(TimeSpan.FromSeconds(ranSeconds), TimeSpan.Zero, 0),
        };

    sealed class CountingDriver : IStorageDriver
    {
        public List<List<string>> Asked { get; } = [];

        public string? Gone { get; set; }

        public string Name => "counting";

        public bool ClonesAreAtomic => true;

        public bool ClonesShareBytes => true;

        public long BytesOf(string volume) => volume.Length;

        public Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
        {
            Asked.Add([.. volumes.Order()]);
            return Task.FromResult<IReadOnlyDictionary<string, BranchUsage>>(volumes.Where(volume => volume != Gone).ToDictionary(volume => volume, volume => new BranchUsage(BytesOf(volume), BytesOf(volume))));
        }

        public string PathOf(string volume) => volume;

        public Task CreateAsync(string volume, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task CloneAsync(string source, string copy, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task FreezeAsync(string volume, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task DeleteAsync(string volume, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IReadOnlyList<string> List(string folder) => throw new NotSupportedException();
    }
}
