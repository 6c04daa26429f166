using Tributary.Demo.Agents;
using Tributary.Demo.Serving;

namespace Tributary.Demo;

/// <summary>Agent 42: one question, one hypothesis, one branch, one answer.</summary>
sealed class LoneAgent(INarrator narrator, IFreshData fresh, ServerBranches branches, TimeProvider time)
{
    public async Task<AgentReport> RunAsync(CancellationToken cancellationToken)
    {
        narrator.Section("4. Agent 42 has a question");
        var report = await new PricingAgent(fresh, branches, time).RunAsync(new PricingTask("agent-42", "SKU-7891", 0.12), cancellationToken);
        narrator.Table(
            $"What sold best in the last hour? (from the replica; its newest order is {report.BestSellers.Age?.TotalMilliseconds ?? double.NaN:0} ms old)",
            ["product", "name", "units", "revenue"],
            [.. report.BestSellers.Items.Take(5).Select(IReadOnlyList<string> (item) => [item.Sku, item.Name, $"{item.Units:N0}", $"{item.Revenue:N2}"])]);
        narrator.Line($"Hypothesis: {report.Hypothesis}");
        var (now, changed) = (report.Forecast.Baseline, report.Forecast.Changed);
        narrator.Table(
            $"Forecast on its own branch, to the end of {report.Forecast.Friday.AddDays(-1):dddd d MMMM} (elasticity {report.Forecast.Elasticity.Value:0.00} ± {report.Forecast.Elasticity.StandardError:0.00})",
            ["", "price", "sells", "stock p10", "p50", "p90", "excess cleared"],
            [
                (string[])["as it is", .. Cells(now)],
                (string[])["12 % off", .. Cells(changed)],
            ]);
        narrator.Line($"Agent 42 reports: {report.Recommendation}");
        narrator.Line($"Its branch was created in {report.Timings.Create.TotalMilliseconds:0} ms, gave its first row after {report.Timings.FirstRow.TotalMilliseconds:0} ms, and is deleted. Production's price is untouched.");
        return report;
    }

    static string[] Cells(Outlook outlook) =>
        [$"{outlook.Price:0.00}", $"{outlook.ExpectedUnits:0}", $"{outlook.StockP10:0}", $"{outlook.StockP50:0}", $"{outlook.StockP90:0}", $"{outlook.ChanceToClear:P0}"];
}
