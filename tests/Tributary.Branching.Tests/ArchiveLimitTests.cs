using Tributary.Testing;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>The archive gives up its oldest moments for space before their time.</summary>
public sealed class ArchiveLimitTests : IAsyncLifetime
{
    const long BytesMax = 64L << 20;

    readonly BranchingFixture _fixture = new() { Adjust = static options => options with { ArchiveBytesMax = BytesMax } };

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Log_beyond_the_limit_goes_with_the_image_before_it_and_no_more_images_than_that_takes_are_made()
    {
        TestRequirement.Of(_fixture.Manager.Status.Driver == "btrfs", "An archive needs a storage whose clones share their bytes.");
        await UntilAsync(() => _fixture.Manager.Status.PastSince is not null, () => $"no base image: {_fixture.Manager.Status}");
        var begun = _fixture.Manager.Status.PastSince;

        // The window begins with a commit, so that one transaction alone would not move it.
        await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "CREATE TABLE logged (text text)");
        for (var i = 0; i < 8; i++)
            await ExecuteAsync(_fixture.Production.ConnectionString("bank"), "INSERT INTO logged SELECT repeat('x', 1000) FROM generate_series(1, 15000)");
        await UntilAsync(() => _fixture.Manager.Status.PastSince > begun && LogBytes() <= BytesMax, () => $"{LogBytes()} bytes of log since {_fixture.Manager.Status.PastSince}, {Images()} images");

        // The retention's next image is due in minutes.
        var images = Images();
        await Task.Delay(TimeSpan.FromSeconds(4), TimeProvider.System, Token);
        Assert.InRange(Images(), 1, images);
        var branch = await _fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse("past"), BranchOrigin.Point) { Point = BranchPoint.At(_fixture.Manager.Status.MainLsn!.Value) }, Token);
        Assert.True(branch.Succeeded, branch.Error?.Message);
    }

    string Pool => Path.Combine(_fixture.Options.StateDirectory, "pool");

    int Images() => Directory.GetDirectories(Path.Combine(Pool, BaseImage.Folder)).Length;

    long LogBytes() => new DirectoryInfo(Path.Combine(Pool, BaseImage.LogVolume)).EnumerateFiles().Sum(static file => file.Length);
}
