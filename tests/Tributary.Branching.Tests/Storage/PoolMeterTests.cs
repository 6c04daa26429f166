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

        Assert.Equal(3, (await _meter.MeasureAsync(asleep, Timeout.InfiniteTimeSpan, Token)).Count);
        _time.Advance(TimeSpan.FromMinutes(10));
        var again = await _meter.MeasureAsync(asleep, Timeout.InfiniteTimeSpan, Token);
        _time.Advance(TimeSpan.FromMinutes(10));
        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 9), asleep[1]], Timeout.InfiniteTimeSpan, Token);

        Assert.Equal([["branches/b1", "branches/b2", "main"], ["main"], ["branches/b1", "main"]], _driver.Asked);
        Assert.Equal(_driver.BytesOf("branches/b2"), again["branches/b2"].ExclusiveBytes);
    }

    [Fact]
    public async Task What_runs_and_what_has_just_come_to_rest_is_measured_when_its_figure_is_old()
    {
        Branch[] branches =
        [
            Sleeping(1, ranSeconds: 5) with { Compute = ComputeState.Running },
            Sleeping(2, ranSeconds: 5) with { LastUsedAt = _time.GetUtcNow() },
        ];

        await _meter.MeasureAsync(branches, Timeout.InfiniteTimeSpan, Token);
        _time.Advance(TimeSpan.FromSeconds(1));
        await _meter.MeasureAsync(branches, Timeout.InfiniteTimeSpan, Token);
        _time.Advance(TimeSpan.FromSeconds(2));
        await _meter.MeasureAsync(branches, Timeout.InfiniteTimeSpan, Token);

        Assert.Equal(2, _driver.Asked.Count);
        Assert.Equal(_driver.Asked[0], _driver.Asked[1]);
    }

    [Fact]
    public async Task Who_cannot_wait_gets_what_is_measured_by_then_and_the_rest_later()
    {
        Branch[] branches = [.. Enumerable.Range(1, 50).Select(number => Sleeping(number, ranSeconds: 5))];
        _driver.Took = () => _time.Advance(TimeSpan.FromSeconds(0.3));

        var first = await _meter.MeasureAsync(branches, TimeSpan.FromSeconds(0.5), Token);
        var second = await _meter.MeasureAsync(branches, TimeSpan.FromSeconds(0.5), Token);

        Assert.Equal((40, 51), (first.Count, second.Count));
        Assert.Equal(51, _driver.Asked.SelectMany(volumes => volumes).Distinct().Count());
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

        await _meter.MeasureAsync(branches, Timeout.InfiniteTimeSpan, Token);
        Assert.Equal([20, 5], _driver.Asked.Take(2).Select(asked => asked.Count));
        Assert.Equal(["branches/b26", "main"], _driver.Asked[2]);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task What_was_at_rest_a_moment_ago_and_runs_now_is_measured_anew()
    {
        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 0)], Timeout.InfiniteTimeSpan, Token);

        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 0) with { Compute = ComputeState.Running }], Timeout.InfiniteTimeSpan, Token);

        Assert.Equal([["branches/b1", "main"], ["branches/b1"]], _driver.Asked);
    }

    [Fact]
    public async Task What_is_gone_is_left_out()
    {
        await _meter.MeasureAsync([Sleeping(1, ranSeconds: 5), Sleeping(2, ranSeconds: 5)], Timeout.InfiniteTimeSpan, Token);
        _driver.Gone = "branches/b3";

        var left = await _meter.MeasureAsync([Sleeping(2, ranSeconds: 5), Sleeping(3, ranSeconds: 5)], Timeout.InfiniteTimeSpan, Token);

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
        public Action Took { get; set; } = static () => { };

        public List<List<string>> Asked { get; } = [];

        public string? Gone { get; set; }

        public string Name => "counting";

        public bool ClonesAreAtomic => true;

        public bool ClonesShareBytes => true;

        public long BytesOf(string volume) => volume.Length;

        public Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, CancellationToken cancellationToken)
        {
            Asked.Add([.. volumes.Order()]);
            Took();
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
