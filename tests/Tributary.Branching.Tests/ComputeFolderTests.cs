using Tributary.Branching.Compute;
using Tributary.Testing;

namespace Tributary.Branching.Tests;

public sealed class ComputeFolderTests
{
    static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_settings_of_a_running_server_are_replaced()
    {
        var folder = new ComputeFolder(Path.Combine(TestFolder.New("settings"), "b1"));
        await folder.WriteAsync(["work_mem = 1MB", "fsync = off"], Token);

        await folder.WriteSettingsAsync(["work_mem = 2MB"], Token);

        var lines = await File.ReadAllLinesAsync(folder.ConfigurationFile, Token);
        Assert.Equal("work_mem = 2MB", lines[^1]);
        Assert.DoesNotContain("fsync = off", lines);
    }

    [Fact]
    public async Task Settings_never_come_into_a_folder_that_is_being_removed()
    {
        var folder = new ComputeFolder(Path.Combine(TestFolder.New("removed"), "b1"));
        await folder.WriteAsync(["work_mem = 1MB"], Token);
        File.Delete(folder.ConfigurationFile);

        await Assert.ThrowsAsync<FileNotFoundException>(() => folder.WriteSettingsAsync(["work_mem = 2MB"], Token));

        Assert.False(File.Exists(folder.ConfigurationFile));
    }
}
