// Written by docs/vendor.py: addresses that change with the content of the files.
export const VENDOR = {
  "plotly/plotly-cartesian.min.js": "/static/vendor/plotly/plotly-cartesian.min.js?v=79542150855a52c5",
  "tabulator/tabulator.min.js": "/static/vendor/tabulator/tabulator.min.js?v=ffac518cb793c672",
  "tabulator/tabulator.min.css": "/static/vendor/tabulator/tabulator.min.css?v=405ae24218357d80",
  "3dmol/3Dmol-min.js": "/static/vendor/3dmol/3Dmol-min.js?v=f7cc78921ae72e76",
  "swagger-ui/swagger-ui-bundle.js": "/static/vendor/swagger-ui/swagger-ui-bundle.js?v=e6a898692f2d768e",
  "swagger-ui/swagger-ui.css": "/static/vendor/swagger-ui/swagger-ui.css?v=5ed08757e53da3e0",
};
